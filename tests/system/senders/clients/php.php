<?php
// PHP: json_encode, DateTime and time(), sent by the stream wrapper and by curl.
[, $address, $key] = $argv;
$times = [
    date(DATE_ATOM), date(DATE_RFC2822), date('c'), time(), microtime(true),
    (new DateTimeImmutable('now', new DateTimeZone('UTC')))->format(DATE_RFC3339_EXTENDED),
];
foreach ($times as $index => $now) {
    $number = $index + 1;
    $body = json_encode([
        'event' => 'signed_up', 'message_id' => "m$number", 'user_id' => "user-$number",
        'timestamp' => $now, 'context' => [],
        'properties' => ['email' => 'a@example.com', 'name' => 'A'],
    ]);
    $response = file_get_contents("$address/track", false, stream_context_create(['http' => [
        'method' => 'POST', 'content' => $body, 'ignore_errors' => true,
        'header' => "Authorization: Bearer $key\r\nContent-Type: application/json\r\n",
    ]]));
    if (!str_contains($http_response_header[0], '200')) {
        fwrite(STDERR, $response);
        exit(1);
    }
    echo $response, "\n";
}
