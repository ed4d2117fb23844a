package main

import (
	"flag"
	"os"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// serveToxiproxy is Toxiproxy's own server; it ends with its standard input, as serve does.
func serveToxiproxy(args []string) error {
	flags := flag.NewFlagSet("toxiproxy", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:8474", "address of the HTTP API")
	_ = flags.Parse(args)
	go exitAtEndOfInput()
	logger := zerolog.New(os.Stderr).Level(zerolog.WarnLevel).With().Timestamp().Logger()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), logger)
	return server.Listen(*listen)
}

func exitAtEndOfInput() {
	buffer := make([]byte, 64)
	for {
		if _, err := os.Stdin.Read(buffer); err != nil {
			os.Exit(0)
		}
	}
}
