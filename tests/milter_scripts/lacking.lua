-- An MTA that lets no filter change a body: what would have to be changed has to wait.
dofile(prelude)
conn = open(6, 0x1ff - SMFIF_CHGBODY, nil)
client(conn)
check(deliver(conn, "infected") == SMFIR_REPLYCODE or mt.getreply(conn) == SMFIR_TEMPFAIL, "answered by " .. mt.getreply(conn))
check(not mt.eom_check(conn, MT_HDRINSERT), "changed by half")
deliver(conn, "clean")
accepted(conn, "clean")
mt.disconnect(conn)
