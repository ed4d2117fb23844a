package main

import (
	"encoding/json"
	"errors"
	"os"
	"runtime/debug"

	istiolog "istio.io/istio/pkg/log"
)

// request is the part that all requests have in common.
type request struct {
	ID int64  `json:"id"`
	Op string `json:"op"`
}

// failure is an error as the client gets it.
type failure struct {
	Kind     string    `json:"kind"`
	Message  string    `json:"message"`
	Messages []message `json:"messages,omitempty"`
	Stack    string    `json:"stack,omitempty"`
}

func (f *failure) Error() string { return f.Message }

// collectAt has memory collected when it has grown to five times what is in use: half as much work for an update as at
// twice, and less memory than one Envoy has.
const collectAt = 400

// serve answers requests on the standard streams until they end.
func serve() error {
	quiet()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	frames := newChannel(os.Stdin, os.Stdout) // before the bubble takes os.Stdout away
	judge := newJudge()
	requests := make(chan []byte)
	go listen(frames, judge, requests)
	inBubble(func() {
		engine := newEngine(judge)
		for text := range requests {
			header, payload := engine.answer(text)
			if err := frames.write(header, payload); err != nil {
				os.Exit(1)
			}
		}
	})
	return nil
}

// listen reads requests, outside the bubble. The kinds that a request is about get ready while istiod starts or is
// busy with the request before.
func listen(frames *channel, judge *judge, requests chan<- []byte) {
	for {
		text, err := frames.read()
		if err != nil {
			os.Exit(0) // the client has gone
		}
		go judge.prepare(text)
		requests <- text
	}
}

// quiet keeps istiod's log, which a client would have to read, to what it could not have said otherwise.
func quiet() {
	options := istiolog.DefaultOptions()
	options.OutputPaths = []string{"stderr"}
	options.SetDefaultOutputLevel(istiolog.OverrideScopeName, level(os.Getenv("MESHTEST_ISTIOD_LOG")))
	_ = istiolog.Configure(options)
}

func level(name string) istiolog.Level {
	switch name {
	case "debug":
		return istiolog.DebugLevel
	case "info":
		return istiolog.InfoLevel
	case "warn":
		return istiolog.WarnLevel
	default:
		return istiolog.NoneLevel
	}
}

// reply adds the id of the request to an answer.
type reply map[string]any

func (e *engine) answer(text []byte) (any, [][]byte) {
	var head request
	if err := json.Unmarshal(text, &head); err != nil {
		return reply{"error": failure{Kind: "Request", Message: err.Error()}}, nil
	}
	result, payload, err := e.dispatch(head.Op, text)
	if err != nil {
		var failed *failure
		if !errors.As(err, &failed) {
			failed = &failure{Kind: "Engine", Message: err.Error()}
		}
		return reply{"id": head.ID, "error": failed}, nil
	}
	result["id"] = head.ID
	return result, payload
}

func (e *engine) dispatch(op string, text []byte) (reply, [][]byte, error) {
	var wanted updateRequest
	if err := json.Unmarshal(text, &wanted); err != nil {
		return nil, nil, &failure{Kind: "Request", Message: err.Error()}
	}
	switch op {
	case "ping":
		return reply{"versions": versions()}, nil, nil
	case "update":
		made, err := e.update(&wanted)
		if err != nil {
			return nil, nil, err
		}
		return reply{
			"proxies": made.Proxies, "names": made.Names, "messages": made.Messages, "generation": made.Generation,
			"generated": made.Generated, "timings": made.Timings,
		}, made.payload, nil
	case "validate":
		if wanted.MeshConfig != nil {
			if _, err := readMesh(*wanted.MeshConfig); err != nil {
				return nil, nil, err
			}
		}
		_, messages := e.judge.admitAll(wanted.Set)
		return reply{"messages": append([]message{}, messages...)}, nil, nil
	case "analyze":
		messages, err := e.analyze(wanted.Set)
		return reply{"messages": messages}, nil, err
	case "deployments":
		objects, err := e.deployments(wanted.Set)
		return reply{"objects": append([]json.RawMessage{}, objects...)}, nil, err
	case "status":
		return reply{"objects": e.status()}, nil, nil
	case "resources":
		made := e.whole(wanted.Names)
		return reply{"proxies": made.Proxies}, made.payload, nil
	case "fields":
		found, err := e.judge.allFields(wanted.Kinds)
		return reply{"fields": found}, nil, err
	case "timings":
		return reply{"timings": e.timings}, nil, nil
	default:
		return nil, nil, &failure{Kind: "Request", Message: "unknown op " + op}
	}
}
