// The program runs scenarios of a NATS application with nats.go, the official Go client:
//
//	program URL[,URL] [scenario...]
//
// All of them by default; the second URL is lame_duck's. One line each, "ok <scenario>" or "FAILED <scenario>: why"; it ends
// with 1 if any failed. Where the server has to be restarted or sent away, it prints "ready restart" or "ready lame_duck" and
// goes on when it reads a line.
package main

import (
	"fmt"
	"os"
	"strings"
)

// run runs one scenario and tells its verdict.
func run(name, url, otherURL string) (good bool) {
	place := &place{url: url, otherURL: otherURL}
	defer func() {
		place.closeAll()
		switch problem := recover().(type) {
		case nil:
			good = true
			fmt.Println("ok", name)
		case verdict:
			fmt.Printf("FAILED %s: %s\n", name, strings.ReplaceAll(problem.why, "\n", " "))
		default:
			panic(problem)
		}
	}()
	for _, scenario := range scenarios {
		if scenario.name == name {
			scenario.run(place)
			return
		}
	}
	fail("there is no such scenario")
	return
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: program URL[,URL] [scenario...]")
		os.Exit(2)
	}
	url, otherURL, _ := strings.Cut(os.Args[1], ",")
	names := os.Args[2:]
	if len(names) == 0 {
		for _, scenario := range scenarios {
			names = append(names, scenario.name)
		}
	}
	code := 0
	for _, name := range names {
		if !run(name, url, otherURL) {
			code = 1
		}
	}
	os.Exit(code)
}
