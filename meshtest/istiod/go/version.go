package main

import (
	"encoding/json"
	"os"
	"runtime/debug"
)

// The modules whose behaviour the engine gives; their versions are what a report names.
const (
	istioModule      = "istio.io/istio"
	gatewayAPIModule = "sigs.k8s.io/gateway-api"
	toxiproxyModule  = "github.com/Shopify/toxiproxy/v2"
)

// proxyVersion is what every proxy says it is: the release whose development the pinned Istio commit belongs to.
const proxyVersion = "1.32.0"

func printVersion() error {
	return json.NewEncoder(os.Stdout).Encode(versions())
}

func versions() map[string]string {
	found := map[string]string{"proxy": proxyVersion}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return found
	}
	names := map[string]string{istioModule: "istio", gatewayAPIModule: "gatewayAPI", toxiproxyModule: "toxiproxy"}
	for _, module := range info.Deps {
		if name, ok := names[module.Path]; ok {
			found[name] = module.Version
		}
	}
	found["go"] = info.GoVersion
	return found
}
