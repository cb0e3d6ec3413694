// Node's part in durable records that may not go the way there is: see barred.h.
#include <utility>

#include "routing/node/json_writer.h"
#include "routing/node/node.h"
#include "routing/node/tree_requests.h"
#include "routing/peer/path_engine.h"

namespace routing::node {

bool Node::is_one_of(const std::vector<GatewayTerm>& terms, GatewayIndex gateway) const {
    if (terms.empty()) return false;
    const std::string id = base::to_hex(registry_.id(gateway).view());
    return matches(terms, {tree_->name(gateway), id, tree_->region(gateway), tree_->tags(gateway)});
}

GatewayIndex Node::forbidden_on_way(std::string_view lines, GatewayIndex target) {
    const auto targeting = read_targeting(lines);
    if (!targeting.ok()) return gateway_none;
    const auto& forbid = targeting.value().forbid;
    if (is_one_of(forbid, target)) return target;
    for (const Factor& factor : tree_->paths().explain({Target{target, true, {}}}).factors)
        if (is_one_of(forbid, factor.gateway)) return factor.gateway;
    return gateway_none;
}

void Node::bar(GatewayIndex target, const queue::SendRecord& record, queue::Position after) {
    durable_->bar(target, record.position, after);
    if (durable_->barred(target) != record.position) return;  // the target has it already
    const GatewayIndex by = forbidden_on_way(scope_lines_, target);
    BarredRecord& known = barred_[target];
    if (known.position == record.position && known.by == by) return;
    if (known.position != record.position) known.since = now_;
    known.position = record.position;
    known.subject = record.message.subject;
    known.lines = scope_lines_;
    known.by = by;
    known.given_up = false;
    ++counters_.durable_barred;

    const std::string what = record_name(name(), record.position);
    const std::string member = requests_->name_of(target);
    const std::string why =
        by == target ? member + " is forbidden by its Tree-Forbid"
                     : "the way there leads past " + requests_->name_of(by) + ", which its Tree-Forbid names";
    host_.log(peer::LogLevel::warning, "Durable record " + what + " on '" + known.subject +
                                           "' waits, and with it all "
                                           "that follows for " +
                                           member + ": " + why +
                                           ". It goes on when there is another "
                                           "way; 'treegate queue skip " +
                                           what + "' gives it up");
    JsonWriter json;
    json.member("record", what).member("member", member);
    json.member("member_id", base::to_hex(registry_.id(target).view())).member("by", requests_->name_of(by));
    json.member("subject", known.subject).member("headers", known.lines);
    requests_->advise("barred", json.text());
}

void Node::try_barred() {
    if (!std::exchange(ways_new_, false) || !durable_) return;
    for (const auto& [target, record] : barred_) durable_->try_barred(target, now_);
}

void Node::tell_unbarred() {
    if (!durable_) return;
    std::erase_if(barred_, [&](const auto& entry) {
        const auto& [target, record] = entry;
        if (!durable_->is_past(target, record.position)) return false;
        const std::string what = record_name(name(), record.position);
        const std::string member = requests_->name_of(target);
        host_.log(peer::LogLevel::info, "Durable record " + what + " waits no longer for " + member +
                                            (record.given_up ? ": it was given up" : ": there is a way"));
        JsonWriter json;
        json.member("record", what).member("member", member);
        json.member("member_id", base::to_hex(registry_.id(target).view())).member("given_up", record.given_up);
        requests_->advise("unbarred", json.text());
        return true;
    });
}

}  // namespace routing::node
