package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/util/protomarshal"
	"istio.io/istio/pkg/util/sets"
)

// updateRequest says what changed; what is absent stays as it is.
type updateRequest struct {
	Set           []json.RawMessage  `json:"set"`
	Delete        []reference        `json:"delete"`
	Proxies       *[]json.RawMessage `json:"proxies"`
	RemoveProxies []string           `json:"removeProxies"`
	MeshConfig    *string            `json:"meshConfig"`
	Names         []string           `json:"names"` // of the proxies whose resources are asked for
	Kinds         []metav1.TypeMeta  `json:"kinds"` // whose fields are asked for
}

// engine holds the accepted state, from which a broken istiod can be made anew, and the istiod that has it.
type engine struct {
	judge      *judge
	world      *world
	mesh       *meshconfig.MeshConfig
	meshText   string
	objects    map[reference]*object
	proxies    map[string]*proxy
	addresses  addresses
	generation int
	timings    map[string]float64 // of the last update, in milliseconds
}

func newEngine(judge *judge) *engine {
	config := mesh.DefaultMeshConfig()
	return &engine{
		judge: judge, mesh: config, world: newWorld(config),
		objects: map[reference]*object{}, proxies: map[string]*proxy{}, addresses: addresses{},
	}
}

// plan is an update that was judged and may be carried out.
type plan struct {
	set, unset []*object
	proxies    map[string]*proxy
	mesh       *meshconfig.MeshConfig // nil: as it is
	meshText   string
	messages   []message
}

// update carries a request out wholly or not at all.
func (e *engine) update(request *updateRequest) (made *answer, err error) {
	start := milliseconds()
	planned, err := e.plan(request)
	if err != nil {
		return nil, err
	}
	judged := milliseconds()
	defer func() {
		if recovered := recover(); recovered != nil {
			err = &failure{Kind: "Panic", Message: fmt.Sprintf("istiod panicked: %v", recovered), Stack: string(debug.Stack())}
		}
		if err != nil {
			e.restore()
		}
	}()
	if err := e.apply(planned); err != nil {
		return nil, err
	}
	pushed, addresses := e.world.push()
	settled := milliseconds()
	states, err := e.generate(planned.proxies, pushed, addresses)
	if err != nil {
		return nil, err
	}
	made = e.commit(planned, states)
	made.Timings = map[string]float64{
		"judge": judged - start, "istiod": settled - judged, "generate": milliseconds() - settled, "total": milliseconds() - start,
	}
	e.timings = made.Timings
	return made, nil
}

// plan judges everything before anything is touched.
func (e *engine) plan(request *updateRequest) (*plan, error) {
	planned := &plan{}
	var changed []json.RawMessage
	for _, raw := range request.Set {
		ref, err := metaOf(raw)
		if err != nil {
			return nil, err
		}
		if old, ok := e.objects[ref.key()]; !ok || !bytes.Equal(old.raw, raw) {
			changed = append(changed, raw)
		}
	}
	planned.set, planned.messages = e.judge.admitAll(changed)
	if rejected := rejection(planned.messages); rejected != nil {
		return nil, rejected
	}
	for _, ref := range request.Delete {
		if old, ok := e.objects[ref.key()]; ok {
			planned.unset = append(planned.unset, old)
		}
	}
	if err := e.planProxies(planned, request); err != nil {
		return nil, err
	}
	return planned, e.planMesh(planned, request.MeshConfig)
}

func (e *engine) planProxies(planned *plan, request *updateRequest) error {
	planned.proxies = map[string]*proxy{}
	known := maps.Clone(e.proxies)
	for _, id := range request.RemoveProxies {
		delete(known, id)
	}
	if request.Proxies == nil {
		planned.proxies = known
	} else {
		for _, spec := range *request.Proxies {
			made, err := newProxy(spec)
			if err != nil {
				return &failure{Kind: "Proxy", Message: err.Error()}
			}
			if old, ok := known[made.id]; ok {
				if bytes.Equal(old.spec, spec) {
					made = old
				} else {
					made.state = old.state
				}
			}
			planned.proxies[made.id] = made
		}
	}
	return nil
}

func (e *engine) planMesh(planned *plan, text *string) error {
	if text == nil || *text == e.meshText {
		return nil
	}
	config, err := readMesh(*text)
	if err != nil {
		return err
	}
	planned.mesh, planned.meshText = config, *text
	return nil
}

// readMesh judges a MeshConfig and gives it istiod's defaults.
func readMesh(text string) (*meshconfig.MeshConfig, error) {
	// istiod passes over fields that it does not know; who tests a mesh wants to hear of them.
	if err := protomarshal.ApplyYAMLStrict(text, mesh.DefaultMeshConfig()); err != nil {
		return nil, &failure{Kind: "MeshConfig", Message: "meshConfig: " + err.Error()}
	}
	config, err := mesh.ApplyMeshConfigDefaults(text)
	if err != nil {
		return nil, &failure{Kind: "MeshConfig", Message: "meshConfig: " + err.Error()}
	}
	return config, nil
}

// apply hands the changes to istiod; one with another mesh configuration is another istiod.
func (e *engine) apply(planned *plan) error {
	if planned.mesh != nil {
		e.world.close()
		e.world = newWorld(planned.mesh)
		if err := e.fill(); err != nil {
			return err
		}
		for _, p := range planned.proxies {
			p.fresh = true
		}
	}
	e.world.permit(planned.proxies)
	if err := e.hand(planned.unset, e.world.unset); err != nil {
		return err
	}
	e.addresses.assign(planned.set, e.objects)
	return e.hand(planned.set, e.world.set)
}

// fill hands the accepted objects to a new istiod.
func (e *engine) fill() error {
	return e.hand(slices.Collect(maps.Values(e.objects)), e.world.set)
}

// hand gives objects to istiod by rank, which rests in between: what it makes of an EndpointSlice depends on whether it
// knows the Service and the Pod already, and its informers know of no order among kinds.
//
// It rests after every 50 objects too: the fake API server's watches hold 100 events and panic when they are full.
func (e *engine) hand(objects []*object, act func(*object) error) error {
	slices.SortStableFunc(objects, func(a, b *object) int { return cmp.Compare(a.rank(), b.rank()) })
	for i, o := range objects {
		if i > 0 && (i%50 == 0 || objects[i-1].rank() != o.rank()) {
			settle()
		}
		if err := act(o); err != nil {
			return err
		}
	}
	return nil
}

// generate makes the new states of all proxies, on all processors.
func (e *engine) generate(
	proxies map[string]*proxy, pushed *model.PushRequest, addresses sets.String,
) (map[string]*resources, error) {
	everything := whole(e.world.env.PushContext())
	type result struct {
		id    string
		state *resources
		err   error
	}
	work := make(chan *proxy)
	results := make(chan result, len(proxies))
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for p := range work {
				request := pushed
				if p.fresh || addresses.Contains(p.node.IPAddresses[0]) {
					request = everything
				}
				if request == nil {
					continue
				}
				state, err := e.generateSafely(p, request)
				results <- result{p.id, state, err}
			}
		})
	}
	for _, p := range proxies {
		work <- p
	}
	close(work)
	workers.Wait()
	close(results)
	states := map[string]*resources{}
	for made := range results {
		if made.err != nil {
			return nil, made.err
		}
		if made.state != nil {
			states[made.id] = made.state
		}
	}
	return states, nil
}

// whole asks for everything that a proxy has.
func whole(push *model.PushContext) *model.PushRequest {
	return &model.PushRequest{
		Forced: true, Push: push, Start: time.Now(), Reason: model.NewReasonStats(model.ProxyUpdate),
	}
}

func (e *engine) generateSafely(p *proxy, request *model.PushRequest) (state *resources, err error) {
	defer func() {
		if recovered := recover(); recovered != nil {
			err = &failure{
				Kind: "Panic", Message: fmt.Sprintf("istiod panicked for %s: %v", p.id, recovered), Stack: string(debug.Stack()),
			}
		}
	}()
	return e.world.generate(p, request)
}

// commit makes the update the accepted state and says what it changed.
func (e *engine) commit(planned *plan, states map[string]*resources) *answer {
	for _, o := range planned.unset {
		delete(e.objects, o.key())
	}
	e.addresses.release(planned.unset)
	for _, o := range planned.set {
		e.objects[o.key()] = o
	}
	if planned.mesh != nil {
		e.mesh, e.meshText = planned.mesh, planned.meshText
	}
	made := newAnswer()
	for _, id := range sortedKeys(states) {
		p := planned.proxies[id]
		if found := states[id].since(&p.state); !found.empty() {
			made.add(id, found)
		}
		p.state, p.fresh = *states[id], false
	}
	e.proxies = planned.proxies
	e.generation++
	made.Generation, made.Generated = e.generation, len(states)
	made.Messages = append(append(made.Messages, planned.messages...), e.unresolved(planned.set)...)
	return made
}

// restore makes istiod anew from the accepted state, after an update that broke off halfway.
func (e *engine) restore() {
	e.world.close()
	e.world = newWorld(e.mesh)
	if err := e.fill(); err != nil {
		panic(err) // it accepted the same before
	}
	for _, p := range e.proxies {
		p.fresh = true // generated whole next time, and compared with what it was told
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
