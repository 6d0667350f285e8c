-- As little as can be: miltertest makes up what it must, and there is neither field nor body.
dofile(prelude)
conn = open()
mt.eom(conn)
accepted(conn, "clean")
check(not mt.eom_check(conn, MT_BODYCHANGE), "the body was changed")
mt.disconnect(conn)
