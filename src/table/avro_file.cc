#include "table/avro_file.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/assert.h"
#include "base/sha256.h"

namespace k2 {

// One node of the writer's schema, compiled once per file.
struct AvroSchemaNode {
  enum class Kind : uint8_t { kNull, kBoolean, kInteger, kFloat, kDouble, kBytes, kFixed, kArray, kMap, kRecord, kUnion };

  Kind kind = Kind::kNull;
  int64_t fixed_size = 0;
  std::vector<const AvroSchemaNode*> children;  // items, values, fields or branches
  std::vector<int32_t> field_ids;
};

AvroFile::AvroFile() = default;
AvroFile::AvroFile(AvroFile&&) noexcept = default;
AvroFile& AvroFile::operator=(AvroFile&&) noexcept = default;
AvroFile::~AvroFile() = default;

const AvroValue* AvroValue::field(int32_t field_id) const {
  if (!field_ids) return nullptr;
  for (size_t i = 0; i < field_ids->size() && i < items.size(); ++i)
    if ((*field_ids)[i] == field_id) return items[i].is_null() ? nullptr : &items[i];
  return nullptr;
}

void AvroEncoder::put_long(int64_t value) {
  uint64_t zigzag = (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
  while (zigzag >= 0x80) {
    bytes_.push_back(static_cast<char>(zigzag | 0x80));
    zigzag >>= 7;
  }
  bytes_.push_back(static_cast<char>(zigzag));
}

void AvroEncoder::put_bytes(std::string_view value) {
  put_long(static_cast<int64_t>(value.size()));
  bytes_.append(value);
}

namespace {

using nlohmann::json;

constexpr std::string_view kMagic("Obj\1", 4);
constexpr size_t kSyncBytes = 16;
constexpr int kDepthMax = 64;                      // of nested schemas
constexpr int64_t kBlockBytesMax = int64_t{1} << 30;  // of one block, inflated
constexpr int kRawDeflate = -15;                   // zlib: window of 32 KiB, no header (RFC 1951)

std::string deflate_raw(std::string_view bytes) {
  z_stream stream{};
  const int begun = deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kRawDeflate, 8, Z_DEFAULT_STRATEGY);
  K2_ASSERT(begun == Z_OK);
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int ended = deflate(&stream, Z_FINISH);
  K2_ASSERT(ended == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

Result<std::string> inflate_raw(std::string_view bytes) {
  z_stream stream{};
  if (inflateInit2(&stream, kRawDeflate) != Z_OK) return make_error(ErrorKind::kUnavailable, "avro: out of memory");
  std::string out(std::min<size_t>(bytes.size() * 4 + 1024, kBlockBytesMax), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  int status = Z_OK;
  while (status == Z_OK) {
    if (stream.total_out == out.size()) {
      if (static_cast<int64_t>(out.size()) >= kBlockBytesMax) break;
      out.resize(std::min<size_t>(out.size() * 2, kBlockBytesMax));
    }
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + stream.total_out);
    stream.avail_out = static_cast<uInt>(out.size() - stream.total_out);
    status = inflate(&stream, Z_NO_FLUSH);
  }
  out.resize(stream.total_out);
  inflateEnd(&stream);
  if (status != Z_STREAM_END) return make_error(ErrorKind::kCorrupt, "avro: a deflated block does not inflate");
  return out;
}

class SchemaCompiler {
 public:
  explicit SchemaCompiler(std::vector<std::unique_ptr<AvroSchemaNode>>& nodes) : nodes_(nodes) {}

  Result<const AvroSchemaNode*> compile(const json& schema, int depth = 0) {
    if (depth > kDepthMax) return bad("nested too deep");
    if (schema.is_array()) return compile_union(schema, depth);
    if (schema.is_string()) return compile_name(schema.get<std::string>());
    if (!schema.is_object() || !schema.contains("type")) return bad(schema.dump());
    const json& type = schema["type"];
    if (!type.is_string()) return compile(type, depth + 1);
    if (type == "record") return compile_record(schema, depth);
    if (type == "array") return compile_items(AvroSchemaNode::Kind::kArray, schema.value("items", json()), depth);
    if (type == "map") return compile_items(AvroSchemaNode::Kind::kMap, schema.value("values", json()), depth);
    if (type == "enum") return named(schema, AvroSchemaNode::Kind::kInteger);
    if (type == "fixed") {
      const int64_t size = schema.value("size", json()).is_number_integer() ? schema["size"].get<int64_t>() : -1;
      if (size < 0 || size > kBlockBytesMax) return bad(schema.dump());
      AvroSchemaNode* node = named(schema, AvroSchemaNode::Kind::kFixed);
      node->fixed_size = size;
      return node;
    }
    return compile_name(type.get<std::string>());
  }

 private:
  static std::unexpected<Error> bad(const std::string& what) {
    return make_error(ErrorKind::kCorrupt, "avro schema: " + what.substr(0, 200));
  }

  AvroSchemaNode* add(AvroSchemaNode::Kind kind) {
    nodes_.push_back(std::make_unique<AvroSchemaNode>());
    nodes_.back()->kind = kind;
    return nodes_.back().get();
  }

  AvroSchemaNode* named(const json& schema, AvroSchemaNode::Kind kind) {
    AvroSchemaNode* node = add(kind);
    if (schema.value("name", json()).is_string()) named_[schema["name"].get<std::string>()] = node;
    return node;
  }

  Result<const AvroSchemaNode*> compile_name(const std::string& name) {
    using Kind = AvroSchemaNode::Kind;
    static const std::map<std::string, Kind, std::less<>> kPrimitives{
        {"null", Kind::kNull},   {"boolean", Kind::kBoolean}, {"int", Kind::kInteger}, {"long", Kind::kInteger},
        {"float", Kind::kFloat}, {"double", Kind::kDouble},   {"bytes", Kind::kBytes}, {"string", Kind::kBytes}};
    if (const auto primitive = kPrimitives.find(name); primitive != kPrimitives.end()) return add(primitive->second);
    if (const auto known = named_.find(name); known != named_.end()) return known->second;
    return bad("unknown type \"" + name + "\"");
  }

  Result<const AvroSchemaNode*> compile_union(const json& branches, int depth) {
    AvroSchemaNode* node = add(AvroSchemaNode::Kind::kUnion);
    for (const json& branch : branches) {
      K2_TRY(const AvroSchemaNode* child, compile(branch, depth + 1));
      node->children.push_back(child);
    }
    return node;
  }

  Result<const AvroSchemaNode*> compile_items(AvroSchemaNode::Kind kind, const json& items, int depth) {
    AvroSchemaNode* node = add(kind);
    K2_TRY(const AvroSchemaNode* child, compile(items, depth + 1));
    node->children.push_back(child);
    return node;
  }

  Result<const AvroSchemaNode*> compile_record(const json& schema, int depth) {
    AvroSchemaNode* node = named(schema, AvroSchemaNode::Kind::kRecord);
    const json fields = schema.value("fields", json());
    if (!fields.is_array()) return bad("a record without fields");
    for (const json& field : fields) {
      if (!field.is_object() || !field.contains("type")) return bad("a field without type");
      K2_TRY(const AvroSchemaNode* child, compile(field["type"], depth + 1));
      node->children.push_back(child);
      const auto id = field.find("field-id");
      node->field_ids.push_back(id != field.end() && id->is_number_integer() ? id->get<int32_t>() : -1);
    }
    return node;
  }

  std::vector<std::unique_ptr<AvroSchemaNode>>& nodes_;
  std::map<std::string, const AvroSchemaNode*> named_;
};

// Reads values off a byte string; the position says where it went wrong.
class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : bytes_(bytes) {}

  [[nodiscard]] bool at_end() const { return position_ == bytes_.size(); }
  [[nodiscard]] size_t position() const { return position_; }

  Result<int64_t> read_long() {
    uint64_t zigzag = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (position_ >= bytes_.size()) return cut_off("a long");
      const auto byte = static_cast<uint8_t>(bytes_[position_++]);
      zigzag |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return static_cast<int64_t>(zigzag >> 1) ^ -static_cast<int64_t>(zigzag & 1);
    }
    return make_error(ErrorKind::kCorrupt, "avro: a long of more than ten bytes at byte " + std::to_string(position_));
  }

  Result<std::string_view> read_raw(int64_t size) {
    if (size < 0 || static_cast<uint64_t>(size) > bytes_.size() - position_) return cut_off(std::to_string(size) + " bytes");
    const std::string_view raw = bytes_.substr(position_, static_cast<size_t>(size));
    position_ += static_cast<size_t>(size);
    return raw;
  }

  Result<std::string_view> read_bytes() {
    K2_TRY(const int64_t size, read_long());
    return read_raw(size);
  }

  Status read(const AvroSchemaNode& schema, AvroValue& value, int depth = 0) {
    using Kind = AvroSchemaNode::Kind;
    if (depth > kDepthMax) return make_error(ErrorKind::kCorrupt, "avro: values nested too deep");
    switch (schema.kind) {
      case Kind::kNull: return {};
      case Kind::kBoolean: {
        K2_TRY(const std::string_view raw, read_raw(1));
        value.kind = AvroValue::Kind::kBoolean;
        value.integer = raw[0] != 0;
        return {};
      }
      case Kind::kInteger: {
        K2_TRY(value.integer, read_long());
        value.kind = AvroValue::Kind::kInteger;
        return {};
      }
      case Kind::kFloat: return read_floating<float>(value);
      case Kind::kDouble: return read_floating<double>(value);
      case Kind::kBytes:
      case Kind::kFixed: {
        K2_TRY(const std::string_view raw, schema.kind == Kind::kFixed ? read_raw(schema.fixed_size) : read_bytes());
        value.kind = AvroValue::Kind::kBytes;
        value.bytes = raw;
        return {};
      }
      case Kind::kArray:
      case Kind::kMap: return read_items(schema, value, depth);
      case Kind::kRecord:
        value.kind = AvroValue::Kind::kRecord;
        value.field_ids = &schema.field_ids;
        value.items.resize(schema.children.size());
        for (size_t i = 0; i < schema.children.size(); ++i) K2_RETURN_IF_ERROR(read(*schema.children[i], value.items[i], depth + 1));
        return {};
      case Kind::kUnion: {
        K2_TRY(const int64_t branch, read_long());
        if (branch < 0 || static_cast<size_t>(branch) >= schema.children.size())
          return make_error(ErrorKind::kCorrupt, "avro: no branch " + std::to_string(branch) + " at byte " + std::to_string(position_));
        return read(*schema.children[static_cast<size_t>(branch)], value, depth + 1);
      }
    }
    return {};
  }

 private:
  std::unexpected<Error> cut_off(const std::string& what) const {
    return make_error(ErrorKind::kCorrupt,
                      "avro: cut off in " + what + " at byte " + std::to_string(position_) + " of " + std::to_string(bytes_.size()));
  }

  template <class Floating>
  Status read_floating(AvroValue& value) {
    K2_TRY(const std::string_view raw, read_raw(sizeof(Floating)));
    Floating floating;
    std::memcpy(&floating, raw.data(), sizeof floating);
    value.kind = AvroValue::Kind::kFloating;
    value.floating = floating;
    return {};
  }

  Status read_items(const AvroSchemaNode& schema, AvroValue& value, int depth) {
    value.kind = AvroValue::Kind::kArray;
    while (true) {
      K2_TRY(int64_t count, read_long());
      if (count == 0) return {};
      if (count < 0) {  // a block with its size in bytes, for skipping
        if (count == INT64_MIN) return cut_off("a block");
        count = -count;
        K2_RETURN_IF_ERROR(read_long());
      }
      // Items of no bytes (null, empty records) could make a short file ask for endless memory.
      if (static_cast<uint64_t>(count) > bytes_.size() - position_) return cut_off(std::to_string(count) + " items");
      for (int64_t i = 0; i < count; ++i) {
        AvroValue& item = value.items.emplace_back();
        if (schema.kind == AvroSchemaNode::Kind::kArray) {
          K2_RETURN_IF_ERROR(read(*schema.children[0], item, depth + 1));
          continue;
        }
        item.kind = AvroValue::Kind::kRecord;
        item.items.resize(2);
        K2_TRY(item.items[0].bytes, read_bytes());
        item.items[0].kind = AvroValue::Kind::kBytes;
        K2_RETURN_IF_ERROR(read(*schema.children[0], item.items[1], depth + 1));
      }
    }
  }

  std::string_view bytes_;
  size_t position_ = 0;
};

Status read_header(Decoder& decoder, std::map<std::string, std::string>& metadata) {
  auto magic = decoder.read_raw(static_cast<int64_t>(kMagic.size()));
  if (!magic || *magic != kMagic) return make_error(ErrorKind::kCorrupt, "avro: not an object container file");
  while (true) {
    K2_TRY(int64_t count, decoder.read_long());
    if (count == 0) return {};
    if (count < 0) {
      count = -(count + 1) + 1;
      K2_RETURN_IF_ERROR(decoder.read_long());
    }
    for (int64_t i = 0; i < count; ++i) {
      K2_TRY(const std::string_view key, decoder.read_bytes());
      K2_TRY(const std::string_view value, decoder.read_bytes());
      metadata[std::string(key)] = value;
    }
  }
}

Status read_block(std::string_view block, int64_t count, const AvroSchemaNode& root, std::vector<AvroValue>& records) {
  Decoder decoder(block);
  if (count < 0 || static_cast<uint64_t>(count) > block.size()) return make_error(ErrorKind::kCorrupt, "avro: a block of impossible count");
  records.reserve(records.size() + static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) K2_RETURN_IF_ERROR(decoder.read(root, records.emplace_back()));
  if (!decoder.at_end()) return make_error(ErrorKind::kCorrupt, "avro: bytes left over after a block's records");
  return {};
}

}  // namespace

std::string write_avro_file(const std::string& schema, const std::map<std::string, std::string>& metadata, size_t count,
                            std::string_view records) {
  AvroEncoder header;
  header.put_long(static_cast<int64_t>(metadata.size()) + 2);
  header.put_bytes("avro.schema");
  header.put_bytes(schema);
  header.put_bytes("avro.codec");
  header.put_bytes("deflate");
  for (const auto& [key, value] : metadata) {
    header.put_bytes(key);
    header.put_bytes(value);
  }
  header.put_long(0);
  // Any 16 bytes do that are unlikely within the data: a hash of it makes the file a function of its content.
  const auto digest = sha256(records);
  const std::string_view sync(reinterpret_cast<const char*>(digest.data()), kSyncBytes);
  std::string file(kMagic);
  file += header.bytes();
  file += sync;
  if (count == 0) return file;
  AvroEncoder block;
  block.put_long(static_cast<int64_t>(count));
  block.put_bytes(deflate_raw(records));
  file += block.bytes();
  file += sync;
  return file;
}

Result<AvroFile> read_avro_file(std::string_view bytes) {
  AvroFile file;
  Decoder decoder(bytes);
  K2_RETURN_IF_ERROR(read_header(decoder, file.metadata));
  K2_TRY(const std::string_view sync, decoder.read_raw(kSyncBytes));
  const json schema = json::parse(file.metadata["avro.schema"], nullptr, /*allow_exceptions=*/false);
  if (schema.is_discarded()) return make_error(ErrorKind::kCorrupt, "avro: the schema is not JSON");
  SchemaCompiler compiler(file.schema);
  K2_TRY(const AvroSchemaNode* root, compiler.compile(schema));
  const auto codec_entry = file.metadata.find("avro.codec");
  const std::string codec = codec_entry == file.metadata.end() ? "null" : codec_entry->second;
  if (codec != "null" && codec != "deflate")
    return make_error(ErrorKind::kInvalidInput, "avro: codec \"" + codec + "\", want null or deflate");
  while (!decoder.at_end()) {
    K2_TRY(const int64_t count, decoder.read_long());
    K2_TRY(const std::string_view block, decoder.read_bytes());
    K2_TRY(const std::string_view marker, decoder.read_raw(kSyncBytes));
    if (marker != sync) return make_error(ErrorKind::kCorrupt, "avro: wrong sync marker before byte " + std::to_string(decoder.position()));
    if (codec == "null") {
      K2_RETURN_IF_ERROR(read_block(block, count, *root, file.records));
    } else {
      K2_TRY(const std::string inflated, inflate_raw(block));
      K2_RETURN_IF_ERROR(read_block(inflated, count, *root, file.records));
    }
  }
  return file;
}

}  // namespace k2
