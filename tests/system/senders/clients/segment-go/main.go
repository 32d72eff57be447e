// Segment's SDK for Go, with nothing changed but the endpoint.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/segmentio/analytics-go/v3"
)

func main() {
	client, err := analytics.NewWithConfig(os.Args[2], analytics.Config{Endpoint: os.Args[1]})
	check(err)
	for number := 1; number <= 20; number++ {
		check(client.Enqueue(analytics.Track{
			MessageId:  fmt.Sprintf("m%d", number),
			UserId:     fmt.Sprintf("user-%d", number),
			Event:      "signed_up",
			Timestamp:  time.Now(),
			Properties: analytics.NewProperties().Set("email", "a@example.com").SetName("A"),
		}))
	}
	check(client.Enqueue(analytics.Identify{UserId: "user-1"}))
	check(client.Close())
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
