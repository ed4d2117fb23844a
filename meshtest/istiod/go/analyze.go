package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"sigs.k8s.io/yaml"

	"istio.io/istio/pkg/config/analysis/analyzers"
	"istio.io/istio/pkg/config/analysis/diag"
	"istio.io/istio/pkg/config/analysis/local"
	"istio.io/istio/pkg/util/sets"
)

// aboutInjection are the codes of analyzers that look for the injector's traces, which objects here do not have: what
// is injected, and how, is the client's business.
var aboutInjection = sets.New(
	"IST0102", // namespace not enabled for injection
	"IST0103", // pod without proxy
	"IST0147", // pod with the image `auto`, which is the injector's to fill in
)

// analyze runs istioctl's analyzers over objects, which need not be those that istiod has.
func (e *engine) analyze(objects []json.RawMessage) (messages []message, err error) {
	defer func() {
		if recovered := recover(); recovered != nil {
			err = &failure{Kind: "Panic", Message: fmt.Sprintf("istioctl's analyzers panicked: %v", recovered)}
		}
	}()
	analyzer := local.NewIstiodAnalyzer(analyzers.AllCombined(), "", systemNamespace, nil)
	if err := e.analyzeMesh(analyzer); err != nil {
		return nil, err
	}
	var readers []local.ReaderSource
	for i, raw := range objects {
		// The analyzers say where by line, and in this form every field has a line of its own.
		text, err := yamlOf(raw)
		if err != nil {
			return nil, &failure{Kind: "Analysis", Message: err.Error()}
		}
		readers = append(readers, local.ReaderSource{Name: fmt.Sprint(i), Reader: strings.NewReader(string(text))})
	}
	if err := analyzer.AddTestReaderKubeSource(readers); err != nil { // "test": with pods and namespaces too
		return nil, &failure{Kind: "Analysis", Message: err.Error()}
	}
	cancel := make(chan struct{})
	defer close(cancel)
	result, err := analyzer.Analyze(cancel)
	if err != nil {
		return nil, err
	}
	messages = []message{}
	for _, found := range result.Messages {
		if !aboutInjection.Contains(found.Type.Code()) {
			messages = append(messages, translate(&found))
		}
	}
	return messages, nil
}

// yamlOf writes an object as YAML. JSON's escapes of characters beyond the basic plane are none of YAML's, so they are
// resolved first.
func yamlOf(raw json.RawMessage) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var object any
	if err := decoder.Decode(&object); err != nil {
		return nil, err
	}
	return yaml.Marshal(object)
}

// analyzeMesh gives the analyzers the mesh configuration, which they take from a file only.
func (e *engine) analyzeMesh(analyzer *local.IstiodAnalyzer) error {
	if e.meshText == "" {
		return nil
	}
	file, err := os.CreateTemp("", "mesh-*.yaml")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if _, err := file.WriteString(e.meshText); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return analyzer.AddFileKubeMeshConfig(file.Name())
}

func translate(found *diag.Message) message {
	made := message{
		Level:   strings.ToLower(found.Type.Level().String()),
		Code:    found.Type.Code(),
		Message: fmt.Sprintf(found.Type.Template(), found.Parameters...),
	}
	if found.Resource == nil {
		return made
	}
	name := found.Resource.Metadata.FullName
	kind := found.Resource.Metadata.Schema
	made.Object = reference{kind.APIVersion(), kind.Kind(), string(name.Namespace), string(name.Name)}
	made.Path = pathOf(found.Resource.Origin.FieldMap(), found.Line)
	return made
}

// pathOf finds the field on a line: the deepest, since the line that begins a list's item has the item's first field.
func pathOf(fields map[string]int, line int) string {
	path := ""
	for field, at := range fields {
		if at == line && line != 0 && (len(field) > len(path) || (len(field) == len(path) && field < path)) {
			path = field
		}
	}
	return strings.TrimPrefix(strings.Trim(path, "{}"), ".")
}
