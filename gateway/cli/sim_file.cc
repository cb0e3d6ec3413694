#include "gateway/cli/sim_file.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "gateway/conf/duration.h"

namespace gateway::cli {

namespace {

using conf::Value;
using routing::sim::PlannedDistance;
using routing::sim::PlannedGateway;
using routing::sim::TreePlan;

std::string quoted(std::string_view text) {
    return "'" + std::string(text) + "'";
}

class Reader {
  public:
    explicit Reader(const conf::Document& document) : document_(document) {}

    base::Result<TreePlan, std::string> read() {
        const auto gateways = document_.root.find("gateways");
        if (gateways == document_.root.end() || map(gateways->second) == nullptr)
            return base::failure(document_.files.front() + ": a map 'gateways' is missing");
        // In the order of the file, which is the order in which they are numbered and shown.
        std::vector<std::pair<std::string, const Value*>> entries;
        for (const auto& [name, value] : *map(gateways->second)) entries.emplace_back(name, &value);
        std::sort(entries.begin(), entries.end(),
                  [](const auto& a, const auto& b) { return a.second->place < b.second->place; });
        for (const auto& [name, value] : entries) {
            places_.emplace(name, plan_.gateways.size());
            plan_.gateways.emplace_back().name = name;
        }
        if (entries.size() < 2 || entries.size() > routing::sim::plan_gateways_max)
            error(gateways->second, "there must be 2 to " + std::to_string(routing::sim::plan_gateways_max) +
                                        " gateways, not " + std::to_string(entries.size()));
        for (std::size_t i = 0; i < entries.size(); ++i) read_gateway(*entries[i].second, plan_.gateways[i]);
        std::size_t clients = 0;
        for (const PlannedGateway& gateway : plan_.gateways) clients += gateway.clients;
        if (clients < routing::sim::plan_clients_min)
            error(gateways->second, "there must be " + std::to_string(routing::sim::plan_clients_min) +
                                        " clients or more in all, not " + std::to_string(clients));
        for (const auto& [key, value] : document_.root) {
            if (key == "distances")
                read_distances(value);
            else if (key != "gateways" && !value.used)
                error(value, "unknown field " + quoted(key));
        }
        if (error_.empty()) check_reach(gateways->second);
        if (!error_.empty()) return base::failure(error_);
        return std::move(plan_);
    }

  private:
    void error(const Value& value, const std::string& text) {
        if (error_.empty()) error_ = document_.at(value.place) + ": " + text;
    }
    static const conf::Map* map(const Value& value) { return std::get_if<conf::Map>(&value.data); }

    std::vector<std::string> strings(std::string_view key, const Value& value) {
        std::vector<std::string> out;
        const auto take = [&](const Value& one) {
            const auto* text = std::get_if<std::string>(&one.data);
            if (text == nullptr)
                error(one, quoted(key) + " wants names, not " + std::string(one.kind()));
            else
                out.push_back(*text);
        };
        if (const auto* array = std::get_if<conf::Array>(&value.data))
            for (const Value& one : *array) take(one);
        else
            take(value);
        return out;
    }

    std::size_t number(std::string_view key, const Value& value, std::size_t low, std::size_t high) {
        const auto* number = std::get_if<std::int64_t>(&value.data);
        if (number != nullptr && *number >= static_cast<std::int64_t>(low) &&
            *number <= static_cast<std::int64_t>(high))
            return static_cast<std::size_t>(*number);
        error(value, quoted(key) + " wants a number from " + std::to_string(low) + " to " + std::to_string(high));
        return low;
    }

    bool yes(std::string_view key, const Value& value) {
        const auto* is = std::get_if<bool>(&value.data);
        if (is == nullptr) error(value, quoted(key) + " wants true or false, not " + std::string(value.kind()));
        return is != nullptr && *is;
    }

    std::size_t place(const Value& value, const std::string& name) {
        const auto found = places_.find(name);
        if (found != places_.end()) return found->second;
        error(value, "there is no gateway " + quoted(name));
        return 0;
    }

    void read_gateway(const Value& value, PlannedGateway& gateway) {
        const auto* fields = map(value);
        if (fields == nullptr)
            return error(value, quoted(gateway.name) + " wants a map, not " + std::string(value.kind()));
        for (const auto& [key, field] : *fields) {
            if (key == "join") {
                for (const std::string& name : strings(key, field)) gateway.join.push_back(place(field, name));
            } else if (key == "region") {
                const auto region = strings(key, field);
                if (region.size() == 1) gateway.region = region[0];
            } else if (key == "tags") {
                gateway.tags = strings(key, field);
            } else if (key == "durable") {
                gateway.durable = yes(key, field);
            } else if (key == "listen") {
                gateway.listens = yes(key, field);
            } else if (key == "max_children") {
                gateway.max_children = number(key, field, 1, routing::sim::plan_gateways_max);
            } else if (key == "clients") {
                gateway.clients = static_cast<std::uint32_t>(number(key, field, 0, routing::sim::plan_clients_max));
            } else {
                error(field, "unknown field " + quoted(key) + " of a gateway");
            }
        }
    }

    void read_distances(const Value& value) {
        const auto* list = std::get_if<conf::Array>(&value.data);
        if (list == nullptr) return error(value, "'distances' wants a list of maps");
        for (const Value& one : *list) {
            const auto* fields = map(one);
            if (fields == nullptr) return error(one, "a distance is a map, not " + std::string(one.kind()));
            PlannedDistance distance;
            const auto between = fields->find("between");
            const auto delay = fields->find("delay");
            if (between == fields->end() || delay == fields->end() || fields->size() != 2)
                return error(one, "a distance has 'between' and 'delay', and nothing else");
            const auto names = strings("between", between->second);
            if (names.size() != 2) return error(one, "'between' wants two names");
            distance.a = place(between->second, names[0]);
            distance.b = place(between->second, names[1]);
            const auto* text = std::get_if<std::string>(&delay->second.data);
            const auto time = text == nullptr ? std::nullopt : conf::parse_duration(*text);
            if (!time || *time < base::Duration{} || *time > sim_delay_max)
                return error(delay->second, "'delay' wants a time up to 10s, such as 40ms");
            distance.delay = *time;
            plan_.distances.push_back(distance);
        }
    }

    /// Who joins nobody and is joined by nobody can never be part of one tree; neither can two such groups.
    void check_reach(const Value& gateways) {
        std::vector<std::size_t> group(plan_.gateways.size());
        for (std::size_t i = 0; i < group.size(); ++i) group[i] = i;
        const auto top = [&](std::size_t i) {
            while (group[i] != i) i = group[i];
            return i;
        };
        for (std::size_t i = 0; i < group.size(); ++i)
            for (const std::size_t other : plan_.gateways[i].join) {
                if (!plan_.gateways[other].listens)
                    error(gateways, quoted(plan_.gateways[i].name) + " joins " + quoted(plan_.gateways[other].name) +
                                        ", which does not listen");
                group[top(i)] = top(other);
            }
        for (std::size_t i = 1; i < group.size(); ++i)
            if (top(i) != top(0))
                error(gateways, quoted(plan_.gateways[i].name) + " and " + quoted(plan_.gateways[0].name) +
                                    " can never meet: no 'join' leads from one to the other");
    }

    const conf::Document& document_;
    TreePlan plan_;
    std::map<std::string, std::size_t, std::less<>> places_;
    std::string error_;
};

}  // namespace

base::Result<TreePlan, std::string> read_tree_plan(const conf::Document& document) {
    return Reader(document).read();
}

}  // namespace gateway::cli
