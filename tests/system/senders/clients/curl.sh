#!/bin/sh
# curl, with what `date` says for now: RFC 3339, ISO 8601 and RFC 5322.
set -eu
number=0
for now in "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$(date --iso-8601=ns)" "$(date -R)"; do
  number=$((number + 1))
  curl -sS --fail-with-body "$1/track" \
    -H "Authorization: Bearer $2" \
    -H "Content-Type: application/json" \
    -d "{\"event\":\"signed_up\",\"message_id\":\"m$number\",\"user_id\":\"user-$number\",
         \"timestamp\":\"$now\",\"properties\":{\"email\":\"a@example.com\",\"name\":\"A\"}}"
  echo
done
