-- Sends requests that lie ready in a file, each of them once: see bench/load/bodies.py.
-- Arguments: the file, bytes of a request, the first request, requests a thread.

local threads = {}

function setup(thread)
   thread:set("number", #threads)
   table.insert(threads, thread)
end

function init(arguments)
   size = tonumber(arguments[2])
   left = tonumber(arguments[4])
   exhausted = 0
   file = assert(io.open(arguments[1], "rb"))
   file:setvbuf("full", 1048576)
   file:seek("set", (tonumber(arguments[3]) + number * left) * size)
end

function request()
   if left == 0 then
      -- To begin again would send duplicates: rather end, and say so.
      exhausted = 1
      wrk.thread:stop()
      return "GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
   end
   left = left - 1
   return file:read(size)
end

function done(summary, latency, requests)
   local ended = 0
   for _, thread in ipairs(threads) do
      ended = ended + thread:get("exhausted")
   end
   local errors = summary.errors
   print(string.format(
      "BENCH requests=%d microseconds=%d refused=%d failed=%d exhausted=%d",
      summary.requests, summary.duration, errors.status,
      errors.connect + errors.read + errors.write + errors.timeout, ended
   ))
end
