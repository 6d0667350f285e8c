-- What the scripts of this folder have in common.  They are run by miltertest(8); see tests/e2e/test_milter_clients.py.
-- Given with -D: address, where the milter listens; files, a folder with the bodies of messages.

function check(condition, what)
  if not condition then
    mt.echo("failed: " .. what)  -- of an error, miltertest says nothing
    error(what)
  end
end

-- A connection; version, actions and steps are what is offered, nil for all that there is.
function open(version, actions, steps)
  local conn = mt.connect(address, 50, 0.1)
  check(conn ~= nil, "no connection")
  -- The manual has the last two the other way round.
  check(mt.negotiate(conn, version, steps, actions) == nil, "no agreement")
  return conn
end

-- Without an answer where none was agreed on, miltertest takes it for "go on".
function goes_on(conn, failed, step)
  check(failed == nil, step .. ": " .. tostring(failed))
  check(mt.getreply(conn) == SMFIR_CONTINUE, step .. ": answered by " .. mt.getreply(conn))
end

function client(conn)
  goes_on(conn, mt.conninfo(conn, "client.example", "192.0.2.1"), "connect")
  goes_on(conn, mt.helo(conn, "client.example"), "helo")
end

function envelope(conn, queue_id)
  if queue_id then mt.macro(conn, SMFIC_MAIL, "i", queue_id) end
  goes_on(conn, mt.mailfrom(conn, "<sender@example.org>", "SIZE=1000"), "mail")
  goes_on(conn, mt.rcptto(conn, "<recipient@example.org>"), "rcpt")
end

function headers(conn)
  local space = mt.test_option(conn, SMFIP_HDR_LEADSPC) and " " or ""
  local fields = {
    {"From", "sender@example.org"}, {"Subject", "test"}, {"X-Note", "one"}, {"X-Note", "two\n\tfolded"},
    {"MIME-Version", "1.0"}, {"Content-Type", 'multipart/mixed; boundary="=_w"'},
  }
  for _, field in ipairs(fields) do
    goes_on(conn, mt.header(conn, field[1], space .. field[2]), "header " .. field[1])
  end
  if not mt.test_option(conn, SMFIP_NOEOH) then goes_on(conn, mt.eoh(conn), "eoh") end
end

-- A message whose body is a file; the letter of the last answer.
function deliver(conn, name, queue_id)
  envelope(conn, queue_id)
  headers(conn)
  goes_on(conn, mt.bodyfile(conn, files .. "/" .. name), "body")
  check(mt.eom(conn) == nil, "no answer to " .. name)
  return mt.getreply(conn)
end

function accepted(conn, status)
  check(mt.getreply(conn) == SMFIR_ACCEPT or mt.getreply(conn) == SMFIR_CONTINUE, "not accepted: " .. mt.getreply(conn))
  local space = mt.test_option(conn, SMFIP_HDR_LEADSPC) and " " or ""
  check(mt.eom_check(conn, MT_HDRINSERT, "X-Lazaretto-Status", space .. status), "no status " .. status)
end
