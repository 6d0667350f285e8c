/*
The EICAR test file, anywhere.  In hex, so that no scanner objects to this file.

Rules of the embedded engine; docs/engines.md explains the metadata:
  name         of the finding; the rule's own name if absent
  kind         malware (default), banned or active
  description  what it means, for the log and the notice
  raw          false: not on the raw message, only on what was unpacked from it
*/

rule eicar_test_file
{
    meta:
        name = "Eicar-Test-Signature"
        kind = "malware"
        description = "the EICAR test file: harmless, made to test scanners"
    strings:
        $eicar = {
            58 35 4F 21 50 25 40 41 50 5B 34 5C 50 5A 58 35 34
            28 50 5E 29 37 43 43 29 37 7D 24 45 49 43 41 52 2D
            53 54 41 4E 44 41 52 44 2D 41 4E 54 49 56 49 52 55
            53 2D 54 45 53 54 2D 46 49 4C 45 21 24 48 2B 48 2A
        }
    condition:
        $eicar
}
