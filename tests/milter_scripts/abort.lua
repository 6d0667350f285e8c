-- Given up in each state; what follows is a message of its own.
dofile(prelude)
conn = open()
client(conn)
infected = files .. "/infected"
states = {
  function() end,
  function() mt.macro(conn, SMFIC_MAIL, "i", "GIVENUP") mt.mailfrom(conn, "<wrong@example.org>") end,
  function() mt.mailfrom(conn, "<wrong@example.org>") mt.rcptto(conn, "<wrong@example.org>") end,
  function() envelope(conn) mt.header(conn, "Subject", " wrong") end,
  function() envelope(conn) headers(conn) end,
  function() envelope(conn) headers(conn) mt.bodyfile(conn, infected) end,
}
for number, state in ipairs(states) do
  state()
  check(mt.abort(conn) == nil, "abort in state " .. number)
  deliver(conn, "clean", "AFTER" .. number)
  accepted(conn, "clean")
  check(not mt.eom_check(conn, MT_BODYCHANGE), "state " .. number .. ": the body was changed")
end
mt.disconnect(conn)
