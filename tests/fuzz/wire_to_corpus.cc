// Turns the wire transcripts into inputs for client_parser_fuzz: one file for each client of each transcript.
//
//   wire_to_corpus TRANSCRIPT-FOLDER CORPUS-FOLDER
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <string>

#include "tests/wire/transcript.h"

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    std::string error;
    const auto transcripts = wire::load_transcripts(argv[1], error);
    if (!error.empty()) {
        std::cerr << error << "\n";
        return 1;
    }
    constexpr std::size_t seed_bytes_max = 60000;  // a fuzzer does not get on with megabytes
    std::filesystem::create_directories(argv[2]);
    for (const wire::Transcript& transcript : transcripts) {
        std::map<std::string, std::string> sent;
        for (const wire::WireEntry& entry : transcript.entries)
            if (entry.kind == wire::WireEntry::Kind::send) sent[entry.client] += entry.bytes;
        for (auto& [client, bytes] : sent) {
            bytes.resize(std::min(bytes.size(), seed_bytes_max));
            const std::string head = {'\1', '\4', '\5', '\1', '\100', '\2'};  // headers; pieces of 5, 1, 64, 2
            const std::string stem = transcript.name.substr(0, transcript.name.rfind('.'));
            std::ofstream(std::string(argv[2]) + "/" + stem + (client.empty() ? "" : "-" + client), std::ios::binary)
                << head << bytes;
        }
    }
    return 0;
}
