// crdgen writes the schemas of Istio's and the Gateway API's CustomResourceDefinitions, out of the Go modules that the
// engine is built with, into a folder that is embedded in it: one JSON file per kind and version, without the
// descriptions, so that the engine reads at run time only what it is asked about.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"

	"istio.io/istio/manifests"
)

const gatewayAPI = "sigs.k8s.io/gateway-api"

// definition is what the engine needs of a CustomResourceDefinition.
type definition struct {
	Kind string `json:"kind"`
	Spec struct {
		Group string `json:"group"`
		Scope string `json:"scope"`
		Names struct {
			Kind string `json:"kind"`
		} `json:"names"`
		Versions []struct {
			Name   string `json:"name"`
			Served bool   `json:"served"`
			Schema struct {
				OpenAPIV3Schema map[string]any `json:"openAPIV3Schema"`
			} `json:"schema"`
		} `json:"versions"`
	} `json:"spec"`
}

func main() {
	if err := generate(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func generate(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	istio, err := manifests.FS.ReadFile("charts/base/files/crd-all.gen.yaml")
	if err != nil {
		return err
	}
	texts := [][]byte{istio}
	files, err := gatewayFiles()
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		texts = append(texts, text)
	}
	for _, text := range texts {
		for _, document := range strings.Split("\n"+string(text), "\n---") {
			if err := write(folder, document); err != nil {
				return err
			}
		}
	}
	return nil
}

// gatewayFiles are the CRDs of the experimental channel, which has all kinds and fields of the standard one too.
func gatewayFiles() ([]string, error) {
	output, err := exec.Command("go", "mod", "download", "-json", gatewayAPI).Output()
	if err != nil {
		return nil, fmt.Errorf("go mod download %s: %w", gatewayAPI, err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(output, &module); err != nil {
		return nil, err
	}
	return filepath.Glob(filepath.Join(module.Dir, "config/crd/experimental/*_*.yaml"))
}

func write(folder, document string) error {
	var found definition
	if err := yaml.Unmarshal([]byte(document), &found); err != nil || found.Kind != "CustomResourceDefinition" {
		return err
	}
	for _, version := range found.Spec.Versions {
		if !version.Served {
			continue
		}
		schema := version.Schema.OpenAPIV3Schema
		strip(schema)
		text, err := json.Marshal(map[string]any{"namespaced": found.Spec.Scope == "Namespaced", "schema": schema})
		if err != nil {
			return err
		}
		name := strings.Join([]string{found.Spec.Group, version.Name, found.Spec.Names.Kind}, "_") + ".json"
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// strip removes descriptions; a property may be called description too, which is why only strings go.
func strip(schema any) {
	switch node := schema.(type) {
	case map[string]any:
		if _, text := node["description"].(string); text {
			delete(node, "description")
		}
		for _, child := range node {
			strip(child)
		}
	case []any:
		for _, child := range node {
			strip(child)
		}
	}
}
