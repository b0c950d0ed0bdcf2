// Command httpclient reads what a URL gives until that ends, says why it did,
// and asks again a little later: httpclient URL.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

func main() {
	for range 3 {
		r, err := http.Get(os.Args[1])
		if err == nil {
			fmt.Println("status", r.StatusCode)
			_, err = io.Copy(io.Discard, r.Body)
			r.Body.Close()
		}
		fmt.Println("ended:", err)
		time.Sleep(300 * time.Millisecond)
	}
	os.Exit(1)
}
