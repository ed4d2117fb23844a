package main

import (
	"encoding/json"
	"slices"
)

// answer is the reply to update: headers as the contract has them, and the payload that they point into.
type answer struct {
	Proxies map[string]*proxyAnswer `json:"proxies"`
	// Names are those that the agents of proxies answer, of proxies for which they changed.
	Names      map[string]json.RawMessage `json:"names"`
	Messages   []message                  `json:"messages"`
	Generation int                        `json:"generation"`
	// Generated counts the proxies for which istiod was asked, changed or not.
	Generated int                `json:"generated"`
	Timings   map[string]float64 `json:"timings"`

	payload [][]byte
	size    int
	offsets map[string]int
}

// proxyAnswer lists [type, name, offset, size] and [type, name].
type proxyAnswer struct {
	Set     [][4]any `json:"set"`
	Removed [][2]any `json:"removed"`
}

func newAnswer() *answer {
	return &answer{
		Proxies: map[string]*proxyAnswer{}, Names: map[string]json.RawMessage{}, Messages: []message{}, offsets: map[string]int{},
	}
}

// add tells a proxy of changes. Equal resources, as most listeners of most sidecars are, are stored once.
func (a *answer) add(id string, found changes) {
	told := &proxyAnswer{Set: [][4]any{}, Removed: [][2]any{}}
	for _, kind := range types {
		for _, name := range sortedKeys(found.set[kind]) {
			blob := found.set[kind][name]
			offset, ok := a.offsets[string(blob)]
			if !ok {
				offset = a.size
				a.offsets[string(blob)] = offset
				a.payload = append(a.payload, blob)
				a.size += len(blob)
			}
			told.Set = append(told.Set, [4]any{kind, name, offset, len(blob)})
		}
		slices.Sort(found.removed[kind])
		for _, name := range found.removed[kind] {
			told.Removed = append(told.Removed, [2]any{kind, name})
		}
	}
	a.Proxies[id] = told
	if found.names != nil {
		a.Names[id] = found.names
	}
}

// whole tells of everything that proxies have.
func (e *engine) whole(ids []string) *answer {
	made := newAnswer()
	for _, id := range ids {
		if p, ok := e.proxies[id]; ok {
			made.add(id, changes{set: p.state.blobs})
		}
	}
	return made
}

func sortedKeys[V any](items map[string]V) []string {
	names := make([]string, 0, len(items))
	for name := range items {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
