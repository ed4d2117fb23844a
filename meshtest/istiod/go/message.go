package main

import (
	"cmp"
	"slices"
	"strings"
)

// message is one finding about one object.
type message struct {
	Level   string    `json:"level"` // "error", "warning" or "info"
	Code    string    `json:"code"`
	Object  reference `json:"object"`
	Path    string    `json:"path"` // of the field, as "spec.http[0].route"; "" if it is about the object
	Message string    `json:"message"`
}

// rejection is the answer to an update that a cluster would refuse; nil if it would not.
func rejection(messages []message) error {
	var said []string
	for _, m := range messages {
		if m.Level == "error" {
			text := m.Message
			if m.Path != "" {
				text = m.Path + ": " + text
			}
			said = append(said, m.Object.Kind+" "+m.Object.Namespace+"/"+m.Object.Name+": "+text)
		}
	}
	if said == nil {
		return nil
	}
	slices.SortStableFunc(messages, func(a, b message) int { return cmp.Compare(a.Level, b.Level) }) // errors first
	return &failure{Kind: "Rejected", Message: strings.Join(said, "\n"), Messages: messages}
}
