# Perl with its core modules: HTTP::Tiny, JSON::PP, Time::Piece, POSIX.
use strict;
use warnings;
use HTTP::Tiny;
use JSON::PP;
use POSIX qw(strftime);
use Time::Piece;

my ($address, $key) = @ARGV;
my $json = JSON::PP->new->canonical;
my $number = 0;
for my $now (
    strftime("%Y-%m-%dT%H:%M:%SZ", gmtime), time, scalar(gmtime) . "",
    gmtime->datetime . "Z", gmtime->strftime("%a, %d %b %Y %H:%M:%S GMT"))
{
    $number++;
    my $response = HTTP::Tiny->new->post("$address/track", {
        headers => {
            "Authorization" => "Bearer $key",
            "Content-Type"  => "application/json",
        },
        content => $json->encode({
            event      => "signed_up",
            message_id => "m$number",
            user_id    => "user-$number",
            timestamp  => $now,
            properties => { email => "a\@example.com", name => "A" },
        }),
    });
    die "$response->{status} $response->{content}" unless $response->{success};
    print "$response->{content}\n";
}
