#include "routing/node/tree_watch.h"

#include <utility>

#include "routing/node/json_writer.h"
#include "routing/peer/path_engine.h"

namespace routing::node {

namespace {

std::string hex(const GatewayId& id) {
    return base::to_hex(id.view());
}

}  // namespace

void TreeWatch::look(const peer::Tree& tree, base::Instant now, const NameOf& name_of, const Tell& tell) {
    compare_counts(tree.paths().counters().dropped_factors, tree.counters().repairs, now, tell);
    if (!std::exchange(links_changed_, false)) return;
    const peer::TreeStatus status = tree.status();
    TreeView view;
    view.root = status.root_id;
    view.members = status.members.size();
    const auto id_of = [&](GatewayIndex gateway) -> const GatewayId* {
        for (const auto& known : status.gateways)
            if (known.index == gateway) return &known.id;
        return nullptr;
    };
    for (const auto& link : status.links) {
        const GatewayId* id = link.established ? id_of(link.gateway) : nullptr;
        if (id == nullptr) continue;
        const bool to_parent = link.gateway == status.parent;
        view.links[*id] = to_parent;
        if (to_parent) view.parent = *id;
    }
    compare_links(view, name_of, tell);
    seen_ = std::move(view);
}

void TreeWatch::compare_links(const TreeView& now_seen, const NameOf& name_of, const Tell& tell) {
    for (const auto& [id, was_parent] : seen_.links) {
        if (now_seen.links.contains(id)) continue;
        JsonWriter json;
        json.member("member", name_of(id)).member("member_id", hex(id));
        json.member("role", was_parent ? "parent" : "child").member("members", now_seen.members);
        tell("leave", json.text());
    }
    for (const auto& [id, is_parent] : now_seen.links) {
        if (is_parent || seen_.links.contains(id)) continue;
        JsonWriter json;
        json.member("member", name_of(id)).member("member_id", hex(id)).member("members", now_seen.members);
        tell("join", json.text());
    }
    if (!now_seen.parent || now_seen.parent == seen_.parent) return;
    const auto parent = [&](JsonWriter& json) {
        json.member("parent", name_of(*now_seen.parent)).member("parent_id", hex(*now_seen.parent));
    };
    if (last_parent_ && *last_parent_ != *now_seen.parent) {
        JsonWriter json;
        parent(json);
        json.member("was", name_of(*last_parent_));
        tell("reparent", json.text());
    }
    if (!seen_.parent && seen_.members > 1) {
        JsonWriter json;
        parent(json);
        json.member("root", hex(now_seen.root)).member("was", hex(seen_.root)).member("members", now_seen.members);
        tell("merge", json.text());
    }
    last_parent_ = now_seen.parent;
}

void TreeWatch::compare_counts(std::uint64_t dropped, std::uint64_t repairs, base::Instant now, const Tell& tell) {
    if (repairs != repairs_told_) {
        repairs_told_ = repairs;
        JsonWriter json;
        json.member("total", repairs);
        tell("repair", json.text());
    }
    if (dropped == dropped_told_) return;
    if (now < dropped_not_before_) {
        dropped_due_ = dropped_not_before_;
        return;
    }
    JsonWriter json;
    json.member("factors", dropped - dropped_told_).member("total", dropped);
    dropped_told_ = dropped;
    dropped_not_before_ = now + dropped_factor_interval;
    dropped_due_ = base::instant_max;
    tell("dropped_factor", json.text());
}

}  // namespace routing::node
