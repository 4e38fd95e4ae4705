// h2spec: whether a server keeps to RFC 9113 (HTTP/2) and RFC 7541 (HPACK).
//
// In: a port of loopback, and the client certificate to connect with. Out: one JSON line a case, for tests/h2spec/main.rs.
// The cases are those of https://github.com/summerwind/h2spec; its own command prints them for people, and has no flag for
// a client certificate of a server test.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	"github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"
)

type outcome struct {
	Case   string `json:"case"`
	Title  string `json:"title"`
	Result string `json:"result"`
	Detail string `json:"detail,omitempty"`
}

func main() {
	c := &config.Config{Host: "127.0.0.1", TLS: true, Insecure: true, MaxHeaderLen: 4000, Strict: true}
	flag.IntVar(&c.Port, "port", 0, "the server's port")
	flag.StringVar(&c.Path, "path", "/", "the path to ask for")
	flag.DurationVar(&c.Timeout, "timeout", 2*time.Second, "how long an answer may take")
	flag.StringVar(&c.CertFile, "cert", "", "a client certificate, PEM")
	flag.StringVar(&c.CertKeyFile, "key", "", "its key, PEM")
	flag.Parse()
	// h2spec prints as it goes. Standard output is kept for the lines.
	out := os.Stdout
	os.Stdout = os.Stderr
	for _, group := range []*spec.TestGroup{generic.Spec(), http2.Spec(), hpack.Spec()} {
		group.Test(c)
		print(out, group)
	}
}

func print(out io.Writer, group *spec.TestGroup) {
	for number, test := range append(group.Tests, group.StrictTests...) {
		if test.Result == nil {
			continue
		}
		said := outcome{Case: fmt.Sprintf("%s/%d", group.ID(), number+1), Title: test.Desc, Result: "passed"}
		if test.Result.Skipped {
			said.Result = "skipped"
		}
		if test.Result.Failed {
			said.Result = "failed"
			said.Detail = fmt.Sprint(test.Result.Error)
		}
		if err := json.NewEncoder(out).Encode(said); err != nil {
			panic(err)
		}
	}
	for _, inner := range group.Groups {
		print(out, inner)
	}
}
