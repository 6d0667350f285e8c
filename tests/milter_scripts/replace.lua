-- An infected message: a new body.
dofile(prelude)
conn = open()
client(conn)
deliver(conn, "infected", "REPLACE1")
accepted(conn, "cleaned; found=malware; rule=policy.malware")
check(mt.eom_check(conn, MT_BODYCHANGE), "the body was not changed")
check(not mt.eom_check(conn, MT_QUARANTINE), "the message is to be held")
mt.disconnect(conn)
