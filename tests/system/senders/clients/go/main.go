// Go: net/http and encoding/json, and what package time makes of now.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

func main() {
	now := time.Now()
	times := []any{
		now, now.UTC(), now.UTC().String(), now.Unix(), now.UnixMilli(), now.UnixNano(),
		now.Format(time.RFC3339), now.Format(time.RFC1123Z), now.UTC().Format(http.TimeFormat),
		now.UTC().Format(time.ANSIC),
	}
	for index, each := range times {
		body, err := json.Marshal(map[string]any{
			"event":      "signed_up",
			"message_id": fmt.Sprintf("m%d", index+1),
			"user_id":    fmt.Sprintf("user-%d", index+1),
			"timestamp":  each,
			"properties": map[string]string{"email": "a@example.com", "name": "A"},
		})
		check(err)
		request, err := http.NewRequest("POST", os.Args[1]+"/track", bytes.NewReader(body))
		check(err)
		request.Header.Set("Authorization", "Bearer "+os.Args[2])
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		check(err)
		content, err := io.ReadAll(response.Body)
		check(err)
		if response.StatusCode != 200 {
			check(fmt.Errorf("%d: %s", response.StatusCode, content))
		}
		fmt.Println(string(content))
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
