-- Thrown away.
dofile(prelude)
conn = open()
client(conn)
check(deliver(conn, "discarded") == SMFIR_DISCARD, "answered by " .. mt.getreply(conn))
deliver(conn, "clean")
accepted(conn, "clean")
mt.disconnect(conn)
