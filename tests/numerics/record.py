"""Write down the digests of the words as they are declared now: `python tests/numerics/record.py`.

A word that is recorded for this kind of machine with other digests is refused: its bits have moved, so it
has to be raised first, and everything that was made under the old word is then stale, by name.
"""

import json
import sys

import words


def main() -> int:
    known, refused = words.recorded(), 0
    for probe in words.OWNERS:
        word, kind, now = words.declared(probe), words.machine(probe), words.run(probe)[probe]
        entry = known.get(probe, {})
        if entry.get("word") != word:
            entry = known[probe] = {"word": word, "machines": {}}
        before = entry["machines"].get(kind)
        # A part that is new says nothing against the old ones: it is written down beside them.
        changed = [part for part in words.moved(probe, now, before) if part in before] if before else []
        if changed:
            room, constant = words.OWNERS[probe]
            parts = ", ".join(changed)
            sys.stderr.write(f"{word} moved in {parts}: raise {room}.{constant}, then record again\n")
            refused += 1
            continue
        entry["machines"][kind] = now
    words.DIGESTS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
