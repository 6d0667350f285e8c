-- Two connections with several messages each, turn by turn; one hangs up without a word.
dofile(prelude)
one, other = open(), open()
client(one)
client(other)
for round = 1, 3 do
  envelope(one)
  headers(one)
  mt.bodyfile(one, files .. "/infected")
  deliver(other, "clean")
  accepted(other, "clean")
  mt.eom(one)
  accepted(one, "cleaned; found=malware; rule=policy.malware")
end
mt.disconnect(one, false)
deliver(other, "infected")
accepted(other, "cleaned; found=malware; rule=policy.malware")
mt.disconnect(other)
