-- Decides which fault marks of a request hit here; the other half of marks.py.
-- Above it stands what this sidecar answers to: ANSWERS_TO = {["*"]=true, ["ns/pod"]=true, ["ns/workload"]=true}.

local ACTIONS = {
  abort = "x-envoy-fault-abort-request",
  grpc = "x-envoy-fault-abort-grpc-request",
  delay = "x-envoy-fault-delay-request",
  rate = "x-envoy-fault-throughput-response",
}

local function unquote(text)
  return (text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

-- The fields of a text between single-character separators, empty ones included.
local function split(text, separator)
  local fields, from = {}, 1
  while true do
    local at = text:find(separator, from, true)
    if not at then
      fields[#fields + 1] = text:sub(from)
      return fields
    end
    fields[#fields + 1] = text:sub(from, at - 1)
    from = at + 1
  end
end

local function contains(list, wanted)
  for _, value in ipairs(split(list, "+")) do
    if wanted == value then return true end
  end
  return false
end

local function here(targets)
  for _, target in ipairs(split(targets, "+")) do
    if ANSWERS_TO[target] then return true end
  end
  return false
end

-- Whether the caller's certificate is that of "namespace/service-account".
local function is(handle, identity)
  local tls = handle:streamInfo():downstreamSslConnection()
  if not tls then return false end
  for _, uri in ipairs(tls:uriSanPeerCertificate()) do
    local namespace, account = uri:match("^spiffe://[^/]+/ns/([^/]+)/sa/([^/]+)$")
    if namespace and namespace .. "/" .. account == identity then return true end
  end
  return false
end

-- Whether one of the sources calls: its address, and where several share it, who it is.
local function from(handle, sources)
  if sources == "" then return true end
  local peer = handle:streamInfo():downstreamDirectRemoteAddress():gsub(":%d+$", "")
  for _, source in ipairs(split(sources, "+")) do
    local address, identity = source:match("^([^=]*)=?(.*)$")
    if address == peer and (identity == "" or is(handle, identity)) then return true end
  end
  return false
end

local function path_matches(pattern, path)
  if pattern == "" then return true end
  path = path:match("^[^?#]*")
  local wanted = pattern:sub(2)
  if pattern:sub(1, 1) == "=" then return path == wanted end
  return path:sub(1, #wanted) == wanted
end

local function hits(handle, headers, spec)
  local attempt = headers:get("x-envoy-attempt-count") or "1"
  return here(spec[1])
    and (spec[3] == "" or contains(spec[3], attempt))
    and (spec[4] == "" or spec[4] == headers:get(":method"))
    and path_matches(spec[5], headers:get(":path") or "")
    and from(handle, spec[2])
end

local function act(headers, actions)
  for _, action in ipairs(split(actions, "&")) do
    local kind, value = action:match("^(%l+):(%d+)$")
    if kind and ACTIONS[kind] then headers:replace(ACTIONS[kind], value) end
  end
end

local function mark(handle, headers, member, hit)
  local id, value = member:match("^%s*mtf%.([^=%s]+)%s*=%s*([^;%s]*)")
  if not id then return end
  local spec = split(unquote(value), "|")
  if #spec ~= 6 then return end
  for index, field in ipairs(spec) do spec[index] = unquote(field) end
  if hits(handle, headers, spec) then
    -- Ours alone count: whatever the client sent under these names goes first.
    if #hit == 0 then
      for _, name in pairs(ACTIONS) do headers:remove(name) end
    end
    act(headers, spec[6])
    hit[#hit + 1] = id
  end
end

-- Has a request with this baggage meet what hits here.
return function(handle, headers, baggage)
  local hit = {}
  for _, member in ipairs(split(baggage, ",")) do mark(handle, headers, member, hit) end
  if #hit > 0 then
    headers:replace("x-meshtest-fault", "1")
    handle:streamInfo():dynamicMetadata():set("meshtest", "faults", table.concat(hit, ","))
  end
end
