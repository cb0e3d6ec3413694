#include "gateway/cli/render.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

namespace gateway::cli {

TEST_CASE("a table is aligned, numbers to the right, by characters and not by bytes", "[gateway][cli]") {
    CHECK(table({{"Name", "Count", "Last"}, {"größe", "7", "x"}, {"b", "1000", ""}}) ==
          "Name   Count  Last\n"
          "größe      7  x\n"
          "b       1000\n");
    CHECK(table({{"A"}, {"1"}}, "  ") == "  A\n  1\n");
}

TEST_CASE("a status shows place, links and counters", "[gateway][cli]") {
    const auto answer =
        nlohmann::json::parse(R"({"name":"b","id":"ab","tree":"treegate","prime":3,"root":false,"parent":"a",
        "children":["c","d"],"members":["a","b","c","d"],"synced":true,"durable_filters":["orders.>"],"uptime_ms":90000,
        "splits":12,"links":[{"gateway":"a","role":"parent","address":"1.2.3.4:7522","round_trip_us":250,"synced":true}],
        "counters":{"volatile_out":5,"repairs":0}})");
    CHECK(render("tree.status", answer) ==
          "Gateway    b\n"
          "Id         ab\n"
          "Tree       treegate\n"
          "Prime      3\n"
          "Parent     a\n"
          "Children   c, d\n"
          "Reachable  a, b, c, d\n"
          "Synced     yes\n"
          "Durable    orders.>\n"
          "Up         90.0 s\n"
          "\n"
          "Link  Role    Address       Round trip  Synced\n"
          "a     parent  1.2.3.4:7522  250 us      yes\n"
          "\n"
          "Counter       Count\n"
          "splits           12\n"
          "volatile_out      5\n"
          "(the others are 0)\n");
}

TEST_CASE("a path shows its product and what happens where", "[gateway][cli]") {
    const auto answer = nlohmann::json::parse(R"({"subject":"orders.new","class":"volatile","local":1,"number":"75",
        "text":"3·5²","factors":[{"prime":3,"exponent":1,"gateway":"b"},{"prime":5,"exponent":2,"gateway":"c"}],
        "targets":[{"gateway":"c","reachable":true},{"gateway":"z","reachable":false}],
        "groups":[{"queue":"q","policy":"round_robin","local":0,"members":[{"gateway":"c","weight":2,"distance":1,"reachable":true}]}]})");
    CHECK(render("path.show", answer) ==
          "Subject  orders.new\n"
          "Class    volatile\n"
          "Path     75 = 3·5²\n"
          "Here     1\n"
          "\n"
          "Prime  Exponent  Gateway  What happens there\n"
          "    3         1  b        passes through\n"
          "    5         2  c        delivers\n"
          "\n"
          "Remembered, cannot be reached now\n"
          "z\n"
          "\n"
          "Queue group  Policy       Members here  Gateway  Members  Links away  Reachable\n"
          "q            round_robin             0  c              2           1  yes\n"
          "One member of each group is picked per message, by the group's policy.\n");
}

TEST_CASE("a number with primes that nobody has says so", "[gateway][cli]") {
    const auto answer =
        nlohmann::json::parse(R"({"number":"14","factors":[{"prime":2,"exponent":1,"gateway":"a"}],"rest":"7"})");
    CHECK(render("path.explain", answer).starts_with("14 = 2·7\n"));
    CHECK(render("path.explain", answer).find("7 is left: no gateway") != std::string::npos);
}

TEST_CASE("the map is drawn as a tree, with the links as both ends tell them", "[gateway][cli]") {
    const auto answer =
        nlohmann::json::parse(R"({"gateway":"b","id":"02","tree":"t","root":"01","members":4,"gateways":[
        {"name":"b","id":"02","prime":3,"region":"eu","tags":["ssd"],"reachable":true,"neighbours":["01","03"],"links":[
            {"id":"03","established":true,"round_trip_us":1500,"volatile":{"unsent":7}}]},
        {"name":"a","id":"01","prime":2,"reachable":true,"neighbours":["02","04"],"advertise":"a:7522","links":[
            {"id":"02","established":true,"round_trip_us":250,"volatile":{"unsent":1},"durable":{"unsent":2},"control":{"unsent":0}}]},
        {"name":"d","id":"04","prime":7,"reachable":true,"neighbours":["01"]},
        {"name":"c","id":"03","prime":5,"reachable":true,"neighbours":["02"]},
        {"name":"gone","id":"05","prime":11,"region":"us","reachable":false,"neighbours":["01"]}]})");
    CHECK(render("tree.map", answer) ==
          "Tree t as b sees it\n"
          "\n"
          "Gateway  Role   Prime  Region    Round trip  Unsent  Address\n"
          "a        root       2  -         -           -       a:7522\n"
          "├─ b     inner      3  eu (ssd)  250 us      3 B     -\n"
          "│  └─ c  leaf       5  -         1.5 ms      7 B     -\n"
          "└─ d     leaf       7  -         -           -       -\n"
          "\n"
          "Away  Prime  Region  Last address  Id\n"
          "gone     11  us      -             05\n");
}

TEST_CASE("a map that is not a tree for a moment shows each gateway once", "[gateway][cli]") {
    const auto answer = nlohmann::json::parse(R"({"gateway":"a","id":"01","root":"09","gateways":[
        {"name":"a","id":"01","reachable":true,"neighbours":["02","03"]},
        {"name":"b","id":"02","reachable":true,"neighbours":["01","03"]},
        {"name":"c","id":"03","reachable":true,"neighbours":["01","02"]},
        {"name":"new","id":"04","reachable":true,"neighbours":[]}]})");
    const std::string text = render("tree.map", answer);
    CAPTURE(text);
    CHECK(text.find("a        root") != std::string::npos);
    CHECK(text.find("└─ c") == text.rfind("└─ c"));
    CHECK(text.find("new      ?") != std::string::npos);
}

TEST_CASE("queues are shown by target, origin and local queue", "[gateway][cli]") {
    const auto answer = nlohmann::json::parse(R"({"gateway":"a","store":"open","filters":["orders.>"],
        "targets":[{"name":"c","reachable":false,"backlog":12,"last":99,"sent":87,"accepted":87,"synced":87,"quiet_ms":5000}],
        "origins":[{"name":"b","run":"00ff","accepted":3,"synced":3}],
        "readers":[{"id":1,"filters":["orders.>"],"queue":"","members":2,"cursor":4,"backlog":0}]})");
    const std::string text = render("queue.ls", answer);
    CHECK(text.find("c   no              12    99    87        87      87  5.0 s\n") != std::string::npos);
    CHECK(text.find("b     00ff         3       3\n") != std::string::npos);
    CHECK(text.find("orders.>  -            2       4        0\n") != std::string::npos);
}

TEST_CASE("a record that Tree-Forbid bars is shown with what to do, in the queue and in the status", "[gateway][cli]") {
    const auto answer = nlohmann::json::parse(R"({"gateway":"a","barred":[
        {"record":"a:17","gateway":"b","by":"m","subject":"orders.new","headers":"Tree-Forbid: gateway=m\n","since_ms":90000},
        {"record":"a:18","gateway":"c","by":"m","subject":"orders.old","since_ms":1000,"given_up":true}]})");
    for (const char* verb : {"queue.ls", "tree.status"}) {
        const std::string text = render(verb, answer);
        CAPTURE(text);
        CHECK(text.find("a:17           b    m         orders.new  90.0 s\n") != std::string::npos);
        CHECK(text.find("a:18           c    given up  orders.old  1.0 s\n") != std::string::npos);
        CHECK(text.find("skip RECORD") != std::string::npos);
    }
    const auto skipped = nlohmann::json::parse(R"({"gateway":"a","record":"a:17","given_up":["b","c"]})");
    CHECK(render("queue.skip", skipped) ==
          "a:17 is given up for b, c: told there as a loss. What follows it goes on.\n");
}

TEST_CASE("any answer is shown somehow, whatever its members are", "[gateway][cli]") {
    const char* verb = GENERATE("tree.status", "tree.map", "path.show", "path.explain", "queue.ls", "queue.where",
                                "queue.dump", "queue.skip", "no.verb");
    CAPTURE(verb);
    for (const char* text :
         {"{}", "[]", "null", "7", R"("x")", R"({"links":7,"gateways":{"a":1},"queues":[1]})",
          R"({"links":[1],"gateways":[[]],"factors":["x"],"groups":[{"members":3}],"targets":[null]})",
          R"({"gateways":[{"reachable":true,"distance":"near"}]})"}) {
        CAPTURE(text);
        CHECK_FALSE(render(verb, nlohmann::json::parse(text)).empty());
    }
}

}  // namespace gateway::cli
