package main

import (
	"net/netip"

	networking "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pilot/pkg/features"
	"istio.io/istio/pilot/pkg/networking/serviceentry"
	"istio.io/istio/pkg/config/host"
)

// addresses are those that istiod gives to the hosts of ServiceEntries without any, by namespace, name and host.
//
// In a cluster a controller of istiod writes them into the status (pilot/pkg/controllers/ipallocate); they mean something
// to proxies that capture DNS alone.
type addresses map[[3]string]netip.Addr

// assign fills the status of ServiceEntries in; hosts that have an address keep it.
func (a addresses) assign(objects []*object, others map[reference]*object) {
	var used map[netip.Addr]bool
	for _, o := range objects {
		entry := serviceEntryOf(o)
		if entry == nil || !serviceentry.ShouldV2AutoAllocateIPFromConfig(*o.config) {
			continue
		}
		if used == nil {
			used = a.used(objects, others)
		}
		status := &networking.ServiceEntryStatus{}
		for _, name := range entry.Hosts {
			if host.Name(name).IsWildCarded() && entry.Resolution != networking.ServiceEntry_DYNAMIC_DNS {
				continue
			}
			key := [3]string{o.Namespace, o.Name, name}
			if _, ok := a[key]; !ok {
				a[key] = nextFree(used)
				used[a[key]] = true
			}
			status.Addresses = append(status.Addresses, &networking.ServiceEntryAddress{Host: name, Value: a[key].String()})
		}
		o.config.Status = status
	}
}

// release forgets the addresses of entries that are gone.
func (a addresses) release(objects []*object) {
	for _, o := range objects {
		if entry := serviceEntryOf(o); entry != nil {
			for _, name := range entry.Hosts {
				delete(a, [3]string{o.Namespace, o.Name, name})
			}
		}
	}
}

// used are the addresses that are given, by istiod or by the entries themselves.
func (a addresses) used(objects []*object, others map[reference]*object) map[netip.Addr]bool {
	used := map[netip.Addr]bool{}
	for _, address := range a {
		used[address] = true
	}
	note := func(o *object) {
		for _, text := range serviceEntryOf(o).GetAddresses() {
			if address, err := netip.ParseAddr(text); err == nil {
				used[address] = true
			}
		}
	}
	for _, o := range objects {
		note(o)
	}
	for _, o := range others {
		note(o)
	}
	return used
}

func nextFree(used map[netip.Addr]bool) netip.Addr {
	prefix := netip.MustParsePrefix(features.IPAutoallocateIPv4Prefix)
	for address := prefix.Addr().Next(); prefix.Contains(address); address = address.Next() {
		if !used[address] {
			return address
		}
	}
	return netip.Addr{}
}

// serviceEntryOf is nil for every other kind.
func serviceEntryOf(o *object) *networking.ServiceEntry {
	if o.Kind != "ServiceEntry" || o.config == nil {
		return nil
	}
	entry, _ := o.config.Spec.(*networking.ServiceEntry)
	return entry
}
