-- The protocol of Sendmail 8.12: every step is told and answered, there is no DATA.
dofile(prelude)
conn = open(2, 0x3f, 0x7f)
client(conn)
for _, name in ipairs({"clean", "infected", "clean"}) do
  deliver(conn, name)
  accepted(conn, name == "clean" and "clean" or "cleaned; found=malware; rule=policy.malware")
end
check(deliver(conn, "rejected") == SMFIR_REPLYCODE, "answered by " .. mt.getreply(conn))
mt.disconnect(conn)
