package main

import (
	"sync"

	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pkg/cluster"
	"istio.io/istio/pkg/config/schema/kind"
	"istio.io/istio/pkg/util/sets"
)

// updater gathers the pushes that istiod's controllers ask for, until the engine takes them. It stands where
// istiod has its debouncer.
type updater struct {
	index *model.EndpointIndex

	mutex   sync.Mutex
	request *model.PushRequest
	proxies sets.String // addresses of proxies whose own workload changed
}

var _ model.XDSUpdater = &updater{}

// take returns what was asked for since the last call, nil if nothing was.
func (u *updater) take() (*model.PushRequest, sets.String) {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	request, proxies := u.request, u.proxies
	u.request, u.proxies = nil, nil
	return request, proxies
}

func (u *updater) ConfigUpdate(request *model.PushRequest) {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	u.request = u.request.CopyMerge(request)
}

func (u *updater) ProxyUpdate(_ cluster.ID, address string) {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	if u.proxies == nil {
		u.proxies = sets.New[string]()
	}
	u.proxies.Insert(address)
}

func (u *updater) EDSUpdate(shard model.ShardKey, host, namespace string, endpoints []*model.IstioEndpoint) {
	push := u.index.UpdateServiceEndpoints(shard, host, namespace, endpoints, true)
	if push == model.NoPush {
		return
	}
	changed := kind.Endpoints
	if push == model.FullPush {
		changed = kind.ServiceEntry
	}
	u.ConfigUpdate(&model.PushRequest{
		ConfigsUpdated: sets.New(model.ConfigKey{Kind: changed, Name: host, Namespace: namespace}),
		Reason:         model.NewReasonStats(model.EndpointUpdate),
	})
}

func (u *updater) EDSCacheUpdate(shard model.ShardKey, host, namespace string, endpoints []*model.IstioEndpoint) {
	u.index.UpdateServiceEndpoints(shard, host, namespace, endpoints, false)
}

func (u *updater) SvcUpdate(shard model.ShardKey, host, namespace string, event model.Event) {
	if event == model.EventDelete {
		u.index.DeleteServiceShard(shard, host, namespace, false)
	}
}

func (u *updater) RemoveShard(shard model.ShardKey) { u.index.DeleteShard(shard) }

func (u *updater) PruneShard(shard model.ShardKey, keep map[string]sets.String) {
	u.index.PruneShard(shard, keep)
}
