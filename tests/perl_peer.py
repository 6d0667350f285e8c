"""Perl itself, to ask what an expression matches."""

from __future__ import annotations

import subprocess

import peers

_SCRIPT = r"""
use strict; use feature 'unicode_strings'; no warnings;
$| = 1;
while (my $line = <STDIN>) {
    chomp $line;
    my ($expression, @subjects) = map { my $text = pack('H*', $_); utf8::decode($text); $text } split / /, $line, -1;
    my $compiled = eval { qr/$expression/i };
    print defined $compiled ? join(' ', map { $_ =~ $compiled ? "$-[0]-$+[0]" : 'no' } @subjects) : 'error', "\n";
}
"""


class Perl:
    """A running perl."""

    def __init__(self) -> None:
        command = [peers.require("perl"), "-e", _SCRIPT]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def spans(self, expression: str, subjects: list[str]) -> list[str] | None:
        """For each subject "start-end" of the first match, or "no"; None if Perl does not accept the expression."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b" ".join(text.encode().hex().encode() for text in (expression, *subjects)) + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().decode()
        assert answer, "perl has gone"
        return None if answer == "error\n" else answer.split()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
