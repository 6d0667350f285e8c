"""All our own variants of evasion, one family after the other.

The evasion corpus has samples; these modules cross every technique that the survey
names with every payload and place it could stand in: some ten thousand mails.
"""

from __future__ import annotations

from collections.abc import Iterator

from techniques_bodies import body_variants, legacy_variants
from techniques_containers import container_variants
from techniques_fields import boundary_variants, encoding_variants
from techniques_messages import message_variants
from techniques_names import extension_variants, name_variants
from techniques_structure import line_end_variants, part_variants, shape_variants, smuggling_variants
from variants import Variant

FAMILIES = (
    body_variants,
    legacy_variants,
    encoding_variants,
    boundary_variants,
    container_variants,
    message_variants,
    name_variants,
    extension_variants,
    part_variants,
    shape_variants,
    line_end_variants,
    smuggling_variants,
)


def techniques() -> Iterator[Variant]:
    """Every variant, always in the same order."""
    for family in FAMILIES:
        yield from family()
