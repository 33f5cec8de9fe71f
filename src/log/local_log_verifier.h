// For tests: reads a log's file by its documented format alone (docs/formats/local-log.md) and says everything that is wrong with it.
// Shares no code with the writer and the readers of src/log. Thread rule: a pure function of the file.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace k2::log_verifier {

struct Record {
  std::string key;
  std::string value;
  int64_t timestamp_us = 0;
};

struct Contents {
  std::vector<std::string> faults;  // empty: the file is as the format says
  std::string log_id;
  std::map<std::pair<std::string, int>, std::pair<int64_t, int64_t>> ranges;             // topic and partition: begin and end offset
  std::map<std::pair<std::string, int>, std::map<int64_t, Record>> records;              // by offset
  std::map<std::string, std::pair<int64_t, std::string>> positions;                      // source: version and value
};

inline uint32_t slow_crc32c(const unsigned char* bytes, size_t size) {
  uint32_t crc = 0xffffffff;
  for (size_t i = 0; i < size; ++i) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82f63b78u : crc >> 1;
  }
  return ~crc;
}

/// A cursor over a blob; `bad` once it was asked for more than there is.
struct Cursor {
  const unsigned char* at;
  const unsigned char* end;
  bool bad = false;

  uint64_t fixed(int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; ++i) value |= static_cast<uint64_t>(next()) << (8 * i);
    return value;
  }
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const unsigned char byte = next();
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    return value;
  }
  std::string bytes(uint64_t count) {
    if (count > static_cast<uint64_t>(end - at)) {
      bad = true;
      return {};
    }
    std::string text(reinterpret_cast<const char*>(at), count);
    at += count;
    return text;
  }
  unsigned char next() {
    if (at == end) {
      bad = true;
      return 0;
    }
    return *at++;
  }
};

inline void read_blob(const unsigned char* data, size_t size, int64_t partition_id, int64_t first, int64_t next, int64_t timestamp_max,
                      const std::string& where, std::map<int64_t, Record>& records, std::vector<std::string>& faults) {
  Cursor cursor{data, data + size};
  const std::string magic = cursor.bytes(4);
  const auto crc = static_cast<uint32_t>(cursor.fixed(4));
  const auto id = static_cast<int64_t>(cursor.fixed(4));
  const auto count = static_cast<int64_t>(cursor.fixed(4));
  const auto first_offset = static_cast<int64_t>(cursor.fixed(8));
  const auto base = cursor.fixed(8);
  if (cursor.bad || magic != "K2B1") return faults.push_back(where + ": no header");
  if (crc != slow_crc32c(data + 8, size - 8)) faults.push_back(where + ": checksum");
  if (id != partition_id || first_offset != first || count != next - first || count < 1)
    faults.push_back(where + ": header is not its row's");
  int64_t newest = INT64_MIN;
  for (int64_t i = 0; i < count && !cursor.bad; ++i) {
    const uint64_t key_size = cursor.varint();
    const uint64_t value_size = cursor.varint();
    const uint64_t zigzag = cursor.varint();
    Record record;
    record.timestamp_us = static_cast<int64_t>(base + ((zigzag >> 1) ^ (~(zigzag & 1) + 1)));
    record.key = cursor.bytes(key_size);
    record.value = cursor.bytes(value_size);
    newest = std::max(newest, record.timestamp_us);
    if (!records.emplace(first_offset + i, std::move(record)).second) faults.push_back(where + ": offset twice");
  }
  if (cursor.bad || cursor.at != cursor.end) faults.push_back(where + ": records do not fill the blob");
  if (newest != timestamp_max) faults.push_back(where + ": timestamp_max");
}

inline Contents verify(const std::string& path) {
  Contents contents;
  sqlite3* db = nullptr;
  const auto rows = [&](const char* sql, auto each) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, nullptr) != SQLITE_OK)
      contents.faults.push_back(std::string(sql) + ": " + sqlite3_errmsg(db));
    int code = SQLITE_DONE;
    while (statement != nullptr && (code = sqlite3_step(statement)) == SQLITE_ROW) each(statement);
    if (code != SQLITE_DONE) contents.faults.push_back(std::string(sql) + ": " + sqlite3_errmsg(db));
    sqlite3_finalize(statement);
  };
  const auto text = [](sqlite3_stmt* statement, int column) {
    const void* bytes = sqlite3_column_blob(statement, column);
    return bytes == nullptr ? std::string()
                            : std::string(static_cast<const char*>(bytes), static_cast<size_t>(sqlite3_column_bytes(statement, column)));
  };
  if (sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READONLY, nullptr) != SQLITE_OK) {
    contents.faults.push_back("cannot open " + path);
    sqlite3_close(db);
    return contents;
  }
  sqlite3_busy_timeout(db, 2000);
  rows("BEGIN", [](sqlite3_stmt*) {});
  rows("PRAGMA integrity_check", [&](sqlite3_stmt* row) {
    if (text(row, 0) != "ok") contents.faults.push_back("SQLite: " + text(row, 0));
  });
  rows("SELECT value FROM meta WHERE key = 'log_id'", [&](sqlite3_stmt* row) { contents.log_id = text(row, 0); });
  if (contents.log_id.empty()) contents.faults.push_back("no log id");
  std::map<int64_t, std::pair<std::string, int>> names;
  rows("SELECT partition_id, name, partition, begin_offset, end_offset, partitions FROM partitions NATURAL JOIN topics",
       [&](sqlite3_stmt* row) {
         const std::pair<std::string, int> name{text(row, 1), sqlite3_column_int(row, 2)};
         names[sqlite3_column_int64(row, 0)] = name;
         contents.ranges[name] = {sqlite3_column_int64(row, 3), sqlite3_column_int64(row, 4)};
         if (name.second < 0 || name.second >= sqlite3_column_int(row, 5))
           contents.faults.push_back(name.first + ": partition out of range");
       });
  rows("SELECT partition_id, first_offset, next_offset, timestamp_max, data FROM batches ORDER BY batch_id", [&](sqlite3_stmt* row) {
    const int64_t id = sqlite3_column_int64(row, 0);
    const int64_t first = sqlite3_column_int64(row, 1);
    if (!names.contains(id)) return contents.faults.push_back("a batch of unknown partition id " + std::to_string(id));
    const auto& name = names[id];
    const std::string where = name.first + "/" + std::to_string(name.second) + " batch " + std::to_string(first);
    read_blob(static_cast<const unsigned char*>(sqlite3_column_blob(row, 4)), static_cast<size_t>(sqlite3_column_bytes(row, 4)), id, first,
              sqlite3_column_int64(row, 2), sqlite3_column_int64(row, 3), where, contents.records[name], contents.faults);
  });
  for (const auto& [name, range] : contents.ranges) {
    const std::string where = name.first + "/" + std::to_string(name.second);
    int64_t expected = range.first;
    for (const auto& [offset, record] : contents.records[name]) {
      if (offset != expected)
        contents.faults.push_back(where + ": offset " + std::to_string(offset) + " follows " + std::to_string(expected - 1));
      expected = offset + 1;
    }
    if (expected != range.second)
      contents.faults.push_back(where + ": ends at " + std::to_string(expected) + ", should at " + std::to_string(range.second));
  }
  rows("SELECT source, version, value FROM positions",
       [&](sqlite3_stmt* row) { contents.positions[text(row, 0)] = {sqlite3_column_int64(row, 1), text(row, 2)}; });
  sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_close(db);
  return contents;
}

}  // namespace k2::log_verifier
