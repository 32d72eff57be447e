# Ruby: Net::HTTP, and what Time makes of now.
require "json"
require "net/http"
require "time"

address, key = ARGV
times = [Time.now, Time.now.iso8601, Time.now.utc.to_s, Time.now.to_i, Time.now.httpdate,
         Time.now.to_f.round(3), Time.now.xmlschema(6)]
times.each.with_index(1) do |now, number|
  response = Net::HTTP.post(
    URI("#{address}/track"),
    JSON.generate(
      event: "signed_up", message_id: "m#{number}", user_id: "user-#{number}",
      timestamp: now, properties: { email: "a@example.com", name: "A" }
    ),
    "Authorization" => "Bearer #{key}", "Content-Type" => "application/json"
  )
  abort("#{response.code} #{response.body}") unless response.code == "200"
  puts response.body
end
