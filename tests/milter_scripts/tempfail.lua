-- Refused for now.
dofile(prelude)
conn = open()
client(conn)
check(deliver(conn, "postponed") == SMFIR_REPLYCODE, "answered by " .. mt.getreply(conn))
check(mt.eom_check(conn, MT_SMTPREPLY, "451", "4.7.1", "Message could not be checked, try again later"), "not in these words")
mt.disconnect(conn)
