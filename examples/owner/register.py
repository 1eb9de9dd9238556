#!/usr/bin/env python3
"""A publisher: each change of a register that was there before becomes a credential. Nothing of the register is altered.

  register.py REGISTER.db CONNECTION CRED_DEF_ID [--follow]

REGISTER.db is SQLite and is opened read-only: `change_log` (seq, company) names rows of `company` (id, name, number). What was issued stands in a table of this
program's own, issued.db beside it. It may be killed at any time: an order is named by its change, so that no change is issued twice.
"""
import sqlite3
import sys
import time
import uuid
from pathlib import Path

from owner import TOOLBOX, Owner, Problem, show

SPACE = uuid.UUID("6f0c1c1e-5d0b-4a8e-9d53-2a8f2f6f3a11")
CHANGES = "SELECT seq, name, number FROM change_log JOIN company ON company.id = change_log.company WHERE seq > ? ORDER BY seq"


def publish(owner: Owner, register: Path, connection: str, cred_def_id: str, follow: bool) -> None:
    changes = sqlite3.connect(f"file:{register.resolve()}?mode=ro", uri=True)
    done = sqlite3.connect(owner.file.with_name("issued.db"))
    done.execute("CREATE TABLE IF NOT EXISTS issued (seq INTEGER PRIMARY KEY, cred_ex_id TEXT NOT NULL)")
    while True:
        (last,) = done.execute("SELECT COALESCE(MAX(seq), 0) FROM issued").fetchone()
        for seq, name, number in changes.execute(CHANGES, (last,)).fetchall():
            attributes = [{"name": "name", "value": name}, {"name": "number", "value": str(number)}]
            body = {"connection_id": connection, "cred_def_id": cred_def_id, "credential_proposal": {"attributes": attributes}}

            def noted(reply: dict, seq: int = seq) -> None:
                with done:
                    done.execute("INSERT OR REPLACE INTO issued VALUES (?, ?)", (seq, reply["cred_ex_id"]))
                show({"seq": seq, "cred_ex_id": reply["cred_ex_id"]})

            owner.ask(TOOLBOX + "admin-issuer/0.1/send-credential", body, str(uuid.uuid5(SPACE, f"{register.name} {seq}")), noted)
        if not follow:
            return
        time.sleep(1)


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--follow"]
    if len(words) != 3:
        sys.exit(__doc__)
    try:
        publish(Owner(Path(__file__).resolve().parent), Path(words[0]), words[1], words[2], "--follow" in sys.argv)
    except Problem as problem:
        sys.exit(f"register.py: {problem}")
    except KeyboardInterrupt:
        pass
