#include "routing/event_path.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "routing/base/check.h"

namespace routing {

namespace {

__extension__ using Wide = unsigned __int128;

std::uint64_t multiply_mod(std::uint64_t a, std::uint64_t b, std::uint64_t modulus) {
    return static_cast<std::uint64_t>(static_cast<Wide>(a) * b % modulus);
}

std::uint64_t power_mod(std::uint64_t base, std::uint64_t exponent, std::uint64_t modulus) {
    std::uint64_t result = 1;
    for (base %= modulus; exponent > 0; exponent >>= 1) {
        if ((exponent & 1) != 0) result = multiply_mod(result, base, modulus);
        base = multiply_mod(base, base, modulus);
    }
    return result;
}

// The first `count` primes, by a sieve sized with the classical bound p_n < n (ln n + ln ln n) for n >= 6.
std::vector<Prime> first_primes(std::size_t count) {
    const double n = static_cast<double>(std::max<std::size_t>(count, 6));
    const auto end = static_cast<std::size_t>(n * (std::log(n) + std::log(std::log(n)))) + 2;
    std::vector<bool> composite(end + 1, false);
    std::vector<Prime> primes;
    primes.reserve(count);
    for (std::size_t i = 2; i <= end && primes.size() < count; ++i) {
        if (composite[i]) continue;
        primes.push_back(i);
        for (std::size_t k = i * i; k <= end; k += i) composite[k] = true;
    }
    BASE_CHECK(primes.size() == count);
    return primes;
}

// The hash behind "place hash(id)": the id is a public key, so its bytes are random enough, but tests use small ones.
std::uint64_t place_hash(const GatewayId& id) {
    return base::hash_bytes(id.view());
}

bool contains(const std::vector<Prime>& sorted, Prime prime) {
    return std::binary_search(sorted.begin(), sorted.end(), prime);
}

Prime substitute_among(const GatewayId& id, const std::vector<Prime>& sorted) {
    constexpr std::uint64_t span = prime_max - claimed_primes_end;
    Prime candidate = claimed_primes_end + 1 + place_hash(id) % span;
    for (;;) {
        if (candidate > prime_max) candidate = claimed_primes_end + 1;
        if (!contains(sorted, candidate) && is_prime(candidate)) return candidate;
        ++candidate;
    }
}

bool strictly_ascending(const Factors& factors) {
    for (std::size_t i = 1; i < factors.size(); ++i)
        if (factors[i - 1].prime >= factors[i].prime) return false;
    return true;
}

bool by_prime(const Factor& a, const Factor& b) {
    return a.prime < b.prime;
}

bool has_gateway(const Factors& factors, GatewayIndex gateway) {
    return std::any_of(factors.begin(), factors.end(), [&](const Factor& f) { return f.gateway == gateway; });
}

bool has_target(const Factors& factors) {
    return std::any_of(factors.begin(), factors.end(), [](const Factor& f) { return f.exponent > exponent_pass; });
}

// A number as limbs of nine decimal digits, least significant first: all that is ever asked of it is to be multiplied
// and divided by factors of 32 bits, and to be read and written in decimal.
class DecimalNumber {
  public:
    static constexpr std::uint64_t base = 1'000'000'000;
    static constexpr std::size_t limb_digits = 9;

    explicit DecimalNumber(std::uint64_t limb) : limbs_{limb} {}

    static DecimalNumber from_digits(std::string_view digits) {
        DecimalNumber number(0);
        number.limbs_.clear();
        while (!digits.empty()) {
            const std::size_t take = std::min(limb_digits, digits.size());
            std::uint64_t limb = 0;
            for (const char c : digits.substr(digits.size() - take))
                limb = limb * 10 + static_cast<std::uint64_t>(c - '0');
            number.limbs_.push_back(limb);
            digits.remove_suffix(take);
        }
        number.trim();
        return number;
    }

    void multiply(std::uint64_t factor) {
        std::uint64_t carry = 0;
        for (std::uint64_t& limb : limbs_) {
            const std::uint64_t product = limb * factor + carry;
            limb = product % base;
            carry = product / base;
        }
        for (; carry > 0; carry /= base) limbs_.push_back(carry % base);
    }

    [[nodiscard]] std::uint64_t remainder(std::uint64_t divisor) const {
        std::uint64_t rest = 0;
        for (std::size_t i = limbs_.size(); i-- > 0;) rest = (rest * base + limbs_[i]) % divisor;
        return rest;
    }

    void divide(std::uint64_t divisor) {
        std::uint64_t rest = 0;
        for (std::size_t i = limbs_.size(); i-- > 0;) {
            const std::uint64_t value = rest * base + limbs_[i];
            limbs_[i] = value / divisor;
            rest = value % divisor;
        }
        trim();
    }

    [[nodiscard]] bool is_zero() const { return limbs_.size() == 1 && limbs_[0] == 0; }

    [[nodiscard]] std::string digits() const {
        std::string out = std::to_string(limbs_.back());
        for (std::size_t i = limbs_.size() - 1; i-- > 0;) {
            const std::string limb = std::to_string(limbs_[i]);
            out.append(limb_digits - limb.size(), '0').append(limb);
        }
        return out;
    }

  private:
    void trim() {
        while (limbs_.size() > 1 && limbs_.back() == 0) limbs_.pop_back();
        if (limbs_.empty()) limbs_.push_back(0);
    }
    std::vector<std::uint64_t> limbs_;
};

}  // namespace

// ---- primes -------------------------------------------------------------------------------------------------------

bool is_prime(std::uint64_t number) {
    // With these bases Miller-Rabin is exact below 3.3 * 10^24 (Sorenson and Webster, 2015).
    constexpr std::array<std::uint64_t, 12> bases = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37};
    if (number < 2) return false;
    for (const std::uint64_t base : bases)
        if (number % base == 0) return number == base;
    std::uint64_t odd = number - 1;
    int twos = 0;
    for (; (odd & 1) == 0; odd >>= 1) ++twos;
    for (const std::uint64_t base : bases) {
        std::uint64_t x = power_mod(base, odd, number);
        if (x == 1 || x == number - 1) continue;
        bool composite = true;
        for (int i = 1; i < twos && composite; ++i) {
            x = multiply_mod(x, x, number);
            composite = x != number - 1;
        }
        if (composite) return false;
    }
    return true;
}

Prime nth_prime(std::uint32_t place) {
    BASE_CHECK(place < prime_places_max);
    return first_primes(place + 1).back();
}

Prime claim_prime(const GatewayId& id, std::size_t members, const std::vector<Prime>& taken) {
    std::vector<Prime> sorted = taken;
    std::sort(sorted.begin(), sorted.end());
    const std::uint64_t places = 2 * static_cast<std::uint64_t>(members) + 16;
    const std::uint64_t first = place_hash(id) % places;
    BASE_CHECK(first + sorted.size() < prime_places_max);
    // Of taken.size() + 1 primes from the first place on, one is free.
    const std::vector<Prime> primes = first_primes(static_cast<std::size_t>(first) + sorted.size() + 1);
    for (auto place = static_cast<std::size_t>(first); place < primes.size(); ++place)
        if (!contains(sorted, primes[place])) return primes[place];
    BASE_CHECK(false);
    return 0;
}

Prime substitute_prime(const GatewayId& id, const std::vector<Prime>& taken) {
    std::vector<Prime> sorted = taken;
    std::sort(sorted.begin(), sorted.end());
    return substitute_among(id, sorted);
}

std::vector<Prime> effective_primes(const std::vector<PrimeClaim>& claims) {
    std::vector<std::size_t> order(claims.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        if (claims[a].claimed_at != claims[b].claimed_at) return claims[a].claimed_at < claims[b].claimed_at;
        return claims[a].id < claims[b].id;
    });
    std::vector<Prime> result(claims.size(), 0);
    std::vector<Prime> taken;
    std::vector<std::pair<Prime, std::size_t>> wishes;
    for (std::size_t rank = 0; rank < order.size(); ++rank) {
        const Prime prime = claims[order[rank]].prime;
        if (prime < claimed_primes_end && is_prime(prime)) wishes.emplace_back(prime, rank);
    }
    std::sort(wishes.begin(), wishes.end());
    for (const auto& [prime, rank] : wishes) {
        if (!taken.empty() && taken.back() == prime) continue;  // a senior holds it
        taken.push_back(prime);
        result[order[rank]] = prime;
    }
    for (const std::size_t i : order) {
        if (result[i] != 0) continue;
        result[i] = substitute_among(claims[i].id, taken);
        taken.insert(std::upper_bound(taken.begin(), taken.end(), result[i]), result[i]);
    }
    return result;
}

// ---- routes -------------------------------------------------------------------------------------------------------

RouteTree make_route_tree(std::size_t gateways, const std::vector<TreeLink>& links,
                          const std::vector<TreeEdge>& edges) {
    RouteTree tree;
    tree.previous.assign(gateways, gateway_none);
    tree.link.assign(gateways, link_none);
    // Adjacency as one array: first[g] .. first[g + 1] are g's neighbours.
    std::vector<std::uint32_t> first(gateways + 1, 0);
    const auto usable = [&](const TreeEdge& edge) {
        return edge.a < gateways && edge.b < gateways && edge.a != edge.b && edge.a != gateway_self &&
               edge.b != gateway_self;
    };
    for (const TreeEdge& edge : edges) {
        if (!usable(edge)) continue;
        ++first[edge.a + 1];
        ++first[edge.b + 1];
    }
    for (std::size_t g = 0; g < gateways; ++g) first[g + 1] += first[g];
    std::vector<GatewayIndex> neighbours(first[gateways]);
    std::vector<std::uint32_t> next(first.begin(), first.end());
    for (const TreeEdge& edge : edges) {
        if (!usable(edge)) continue;
        neighbours[next[edge.a]++] = edge.b;
        neighbours[next[edge.b]++] = edge.a;
    }
    // Nothing visible depends on the order in which the edges were heard of.
    for (std::size_t g = 0; g < gateways; ++g)
        std::sort(neighbours.begin() + first[g], neighbours.begin() + first[g + 1]);

    std::vector<GatewayIndex> queue;
    std::vector<TreeLink> ordered = links;
    std::sort(ordered.begin(), ordered.end(), [](const TreeLink& a, const TreeLink& b) { return a.link < b.link; });
    for (const TreeLink& link : ordered) {
        const GatewayIndex g = link.neighbour;
        if (g >= gateways || g == gateway_self || tree.link[g] != link_none) continue;
        tree.previous[g] = gateway_self;
        tree.link[g] = link.link;
        queue.push_back(g);
    }
    for (std::size_t head = 0; head < queue.size(); ++head) {
        const GatewayIndex from = queue[head];
        for (std::uint32_t i = first[from]; i < first[from + 1]; ++i) {
            const GatewayIndex to = neighbours[i];
            if (tree.link[to] != link_none) continue;
            tree.previous[to] = from;
            tree.link[to] = tree.link[from];
            queue.push_back(to);
        }
    }
    return tree;
}

// ---- paths --------------------------------------------------------------------------------------------------------

PathFromHere compute_path(const TargetSet& targets, const RouteTree& routes, const std::vector<Prime>& primes) {
    PathFromHere path;
    // place[g]: 1 + index of g's factor
    std::vector<std::uint32_t> place(routes.previous.size(), 0);
    std::vector<GatewayIndex> route;
    for (std::size_t i = 0; i < targets.size(); ++i) {
        const Target& target = targets[i];
        if (target.gateway == gateway_self) continue;
        route.clear();
        GatewayIndex at = target.gateway;
        bool whole = i <= UINT16_MAX;
        while (whole && at != gateway_self) {
            whole = at < place.size() && routes.link_to(at) != link_none && at < primes.size() && primes[at] != 0 &&
                    route.size() <= path_factors_max;
            if (!whole || place[at] != 0) break;
            route.push_back(at);
            at = routes.previous[at];
        }
        if (!whole || path.factors.size() + route.size() > path_factors_max) {
            path.unplaced.push_back(target.gateway);
            continue;
        }
        for (const GatewayIndex gateway : route) {
            Factor factor;
            factor.prime = primes[gateway];
            factor.gateway = gateway;
            path.factors.push_back(factor);
            place[gateway] = static_cast<std::uint32_t>(path.factors.size());
        }
        Factor& factor = path.factors[place[target.gateway] - 1];
        factor.exponent = exponent_deliver;
        factor.ordinal = static_cast<std::uint16_t>(i);
        factor.plain = target.plain;
    }
    std::sort(path.factors.begin(), path.factors.end(), by_prime);
    return path;
}

bool divisible(const Factors& factors, const std::vector<Prime>& primes) {
    return std::any_of(factors.begin(), factors.end(), [&](const Factor& factor) {
        return std::find(primes.begin(), primes.end(), factor.prime) != primes.end();
    });
}

Split split_path(const Factors& factors, GatewayIndex self, const RouteTree& routes,
                 const std::vector<GatewayIndex>& neighbours, LinkIndex arrived_on) {
    Split split;
    std::vector<Share> shares;
    for (const Factor& factor : factors) {
        if (factor.gateway == self) {
            split.self_exponent = factor.exponent;
            continue;
        }
        const LinkIndex link = routes.link_to(factor.gateway);
        if (link >= neighbours.size() || neighbours[link] == gateway_none || link == arrived_on) {
            split.dropped.push_back(factor);
            continue;
        }
        auto share = std::find_if(shares.begin(), shares.end(), [&](const Share& s) { return s.link == link; });
        if (share == shares.end()) {
            shares.push_back(Share{link, neighbours[link], {}});
            share = shares.end() - 1;
        }
        share->factors.push_back(factor);
    }
    for (Share& share : shares) {
        if (has_gateway(share.factors, share.receiver) && has_target(share.factors)) {
            split.shares.push_back(std::move(share));
        } else {
            split.dropped.insert(split.dropped.end(), share.factors.begin(), share.factors.end());
        }
    }
    std::sort(split.shares.begin(), split.shares.end(), [](const Share& a, const Share& b) { return a.link < b.link; });
    std::sort(split.dropped.begin(), split.dropped.end(), by_prime);
    return split;
}

std::string_view describe(LawError error) {
    switch (error) {
        case LawError::none:
            return "the law holds";
        case LawError::not_ascending:
            return "factors are not strictly ascending";
        case LawError::product_differs:
            return "the product of the parts differs from the path";
        case LawError::shares_not_coprime:
            return "a factor is in more than one share";
        case LawError::receiver_missing:
            return "a share lacks its receiver's factor";
        case LawError::spent_factor:
            return "a share holds its sender's or the origin's factor";
        case LawError::gateway_twice:
            return "a gateway stands in a path under two primes";
    }
    return "unknown violation";
}

LawError check_split(const Factors& path, GatewayIndex self, const Split& split) {
    if (!strictly_ascending(path) || !strictly_ascending(split.dropped)) return LawError::not_ascending;
    Factors product = split.dropped;
    for (const Share& share : split.shares) {
        if (!strictly_ascending(share.factors)) return LawError::not_ascending;
        if (!has_gateway(share.factors, share.receiver)) return LawError::receiver_missing;
        product.insert(product.end(), share.factors.begin(), share.factors.end());
    }
    std::sort(product.begin(), product.end(), by_prime);
    if (!strictly_ascending(product)) return LawError::shares_not_coprime;
    if (split.self_exponent != 0) {
        const auto own = std::find_if(path.begin(), path.end(), [&](const Factor& f) { return f.gateway == self; });
        if (own == path.end() || own->exponent != split.self_exponent) return LawError::product_differs;
        product.insert(std::upper_bound(product.begin(), product.end(), *own, by_prime), *own);
    }
    return product == path ? LawError::none : LawError::product_differs;
}

LawError check_share(const Factors& share, GatewayIndex self, GatewayIndex sender, GatewayIndex origin) {
    if (!strictly_ascending(share)) return LawError::not_ascending;
    if (!has_gateway(share, self)) return LawError::receiver_missing;
    std::vector<GatewayIndex> gateways;
    gateways.reserve(share.size());
    for (const Factor& factor : share) {
        if (factor.gateway == sender || factor.gateway == origin) return LawError::spent_factor;
        gateways.push_back(factor.gateway);
    }
    std::sort(gateways.begin(), gateways.end());
    if (std::adjacent_find(gateways.begin(), gateways.end()) != gateways.end()) return LawError::gateway_twice;
    return LawError::none;
}

// ---- the number ---------------------------------------------------------------------------------------------------

std::string multiply_out(const std::vector<PrimePower>& powers) {
    DecimalNumber product(1);
    for (const PrimePower& power : powers) {
        BASE_CHECK(power.prime <= prime_max);
        for (std::uint32_t i = 0; i < power.exponent; ++i) product.multiply(power.prime);
    }
    return product.digits();
}

std::string multiply_out(const Factors& factors) {
    std::vector<PrimePower> powers;
    powers.reserve(factors.size());
    for (const Factor& factor : factors) powers.push_back(PrimePower{factor.prime, factor.exponent});
    return multiply_out(powers);
}

std::optional<FactoredNumber> factor_number(std::string_view decimal, std::vector<Prime> known) {
    if (decimal.empty() || decimal.size() > path_digits_max) return std::nullopt;
    if (decimal.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
    DecimalNumber rest = DecimalNumber::from_digits(decimal);
    if (rest.is_zero()) return std::nullopt;
    std::sort(known.begin(), known.end());
    known.erase(std::unique(known.begin(), known.end()), known.end());
    FactoredNumber result;
    for (const Prime prime : known) {
        if (prime < 2 || prime > prime_max) continue;
        PrimePower power{prime, 0};
        while (rest.remainder(prime) == 0) {
            rest.divide(prime);
            ++power.exponent;
        }
        if (power.exponent > 0) result.powers.push_back(power);
    }
    result.rest = rest.digits();
    return result;
}

}  // namespace routing
