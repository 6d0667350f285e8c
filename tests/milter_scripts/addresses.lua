-- Clients as an MTA may tell of them.
dofile(prelude)
for _, ip in ipairs({"192.0.2.1", "2001:db8::1", "unspec"}) do
  conn = open()
  goes_on(conn, mt.conninfo(conn, "client.example", ip), "connect from " .. ip)
  deliver(conn, "clean", "FROM-" .. ip)
  accepted(conn, "clean")
  mt.disconnect(conn)
end
