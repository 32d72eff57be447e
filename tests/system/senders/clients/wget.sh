#!/bin/sh
# wget, with seconds and milliseconds since 1970.
set -eu
number=0
for now in "$(date +%s)" "$(date +%s%3N)" "\"$(date +%s)\""; do
  number=$((number + 1))
  wget -q -O - "$1/track" \
    --header "x-api-key: $2" \
    --header "Content-Type: application/json" \
    --post-data "{\"event\":\"signed_up\",\"message_id\":\"m$number\",\"user_id\":\"user-$number\",
         \"timestamp\":$now,\"properties\":{\"email\":\"a@example.com\",\"name\":\"A\"}}"
  echo
done
