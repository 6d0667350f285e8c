-- A clean message: our field is put in, nothing else is touched.
dofile(prelude)
conn = open()
client(conn)
deliver(conn, "clean", "ACCEPT1")
accepted(conn, "clean")
check(not mt.eom_check(conn, MT_BODYCHANGE), "the body was changed")
check(not mt.eom_check(conn, MT_HDRCHANGE), "a field was changed")
check(not mt.eom_check(conn, MT_HDRDELETE), "a field was deleted")
check(not mt.eom_check(conn, MT_HDRADD), "a field was added")
for _, address in ipairs({"<recipient@example.org>", "recipient@example.org"}) do
  check(not mt.eom_check(conn, MT_RCPTDELETE, address), "a recipient was deleted")
end
check(not mt.eom_check(conn, MT_QUARANTINE), "the message is to be held")
mt.disconnect(conn)
