// meshtest-istiod is meshtest's istiod engine: istiod's own packages, without Kubernetes, in one process that is
// told of objects and answers with what changed for each proxy. See README.md beside this file.
package main

//go:generate go run -trimpath ./crdgen crds

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "meshtest-istiod:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	command := ""
	if len(args) > 0 {
		command = args[0]
	}
	switch command {
	case "serve":
		return serve()
	case "toxiproxy":
		return serveToxiproxy(args[1:])
	case "version":
		return printVersion()
	default:
		return fmt.Errorf("usage: meshtest-istiod serve | toxiproxy -listen ADDRESS | version")
	}
}
