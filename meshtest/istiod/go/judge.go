package main

import "encoding/json"

// judge says of objects what a cluster would say.
type judge struct{}

func newJudge() *judge { return &judge{} }

// admit returns istiod's form of an object, or none and why not.
func (j *judge) admit(ref reference, raw json.RawMessage) (*object, []message) {
	made, err := decode(ref, raw)
	if err != nil {
		return nil, []message{{Level: "error", Code: "decode", Object: ref, Message: err.Error()}}
	}
	return made, nil
}
