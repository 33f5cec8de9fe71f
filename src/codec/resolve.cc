#include "codec/resolve.h"

#include <avro.h>
#include <nlohmann/json.hpp>

#include <array>
#include <cerrno>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "codec/avro.h"
#include "codec/avro_reader.h"
#include "codec/avro_writer.h"
#include "codec/schemas.h"
#include "market/coverage.h"

namespace k2 {
namespace {

using Json = nlohmann::json;

// The fields of our schemas as the resolution sees them. resolve_test compares these tables with schemas/v2.

enum class OwnType : uint8_t {
  kString,
  kBytes,
  kTimestamp,     // long, timestamp-micros
  kDecimal,       // bytes, decimal(18,8)
  kAssetClass,    // enum
  kSide,          // enum
  kStatus,        // enum
  kLong,
  kStringArray,   // default []
  kNullableLong,  // default null
  kNullableText,  // default null
  kNullableMap,   // default null
};

struct OwnField {
  const char* name;
  OwnType type;
};

constexpr OwnField kTradeFields[] = {
    {"message_id", OwnType::kString},
    {"trade_id", OwnType::kString},
    {"symbol", OwnType::kString},
    {"exchange", OwnType::kString},
    {"asset_class", OwnType::kAssetClass},
    {"timestamp", OwnType::kTimestamp},
    {"price", OwnType::kDecimal},
    {"quantity", OwnType::kDecimal},
    {"currency", OwnType::kString},
    {"side", OwnType::kSide},
    {"trade_conditions", OwnType::kStringArray},
    {"source_sequence", OwnType::kNullableLong},
    {"ingestion_timestamp", OwnType::kTimestamp},
    {"vendor_data", OwnType::kNullableMap},
};
constexpr OwnField kQuoteFields[] = {
    {"message_id", OwnType::kString},
    {"quote_id", OwnType::kString},
    {"symbol", OwnType::kString},
    {"exchange", OwnType::kString},
    {"asset_class", OwnType::kAssetClass},
    {"timestamp", OwnType::kTimestamp},
    {"bid_price", OwnType::kDecimal},
    {"bid_quantity", OwnType::kDecimal},
    {"ask_price", OwnType::kDecimal},
    {"ask_quantity", OwnType::kDecimal},
    {"currency", OwnType::kString},
    {"source_sequence", OwnType::kNullableLong},
    {"ingestion_timestamp", OwnType::kTimestamp},
    {"vendor_data", OwnType::kNullableMap},
};
constexpr OwnField kCoverageFields[] = {
    {"exchange", OwnType::kString},         {"symbol", OwnType::kString},
    {"channel", OwnType::kString},          {"first_sequence", OwnType::kLong},
    {"last_sequence", OwnType::kLong},      {"timestamp", OwnType::kTimestamp},
    {"end_timestamp", OwnType::kTimestamp}, {"status", OwnType::kStatus},
    {"reason", OwnType::kNullableText},     {"ingestion_timestamp", OwnType::kTimestamp},
};
constexpr OwnField kDeadLetterFields[] = {
    {"source", OwnType::kString},
    {"reason", OwnType::kString},
    {"raw", OwnType::kBytes},
    {"ingestion_timestamp", OwnType::kTimestamp},
};

struct OwnRecord {
  const char* name;
  std::span<const OwnField> fields;
  std::string_view (*schema)();
};

constexpr std::array<OwnRecord, kRecordKindCount> kOwnRecords{{
    {"TradeV2", kTradeFields, trade_schema},
    {"QuoteV2", kQuoteFields, quote_schema},
    {"CoverageV2", kCoverageFields, coverage_schema},
    {"DeadLetter", kDeadLetterFields, dead_letter_schema},
}};

const OwnRecord& own_record(RecordKind kind) { return kOwnRecords[static_cast<size_t>(kind)]; }

constexpr int kDepthMax = 32;          // of nested types in a writer schema
constexpr int kItemsMax = 10'000'000;  // values skipped or read in one body; a body cannot make us work longer

struct SchemaRelease {
  void operator()(avro_schema_t schema) const { avro_schema_decref(schema); }
};
using SchemaPtr = std::unique_ptr<avro_obj_t, SchemaRelease>;

// What avro-c does not keep of a writer's field: the logical type of each union branch, or of the type itself as the only branch.
struct Logical {
  enum class Kind : uint8_t { kNone, kDecimal, kMicros, kMillis, kOther };
  Kind kind = Kind::kNone;
  int scale = 0;
};

struct WriterField {
  const OwnField* own = nullptr;  // nullptr: not ours, skipped
  size_t own_index = 0;
  avro_schema_t schema = nullptr;  // belongs to the plan's root
  std::vector<Logical> logicals;   // one per union branch
};

struct Plan {
  bool is_own = false;
  SchemaPtr root;
  std::vector<WriterField> fields;
  std::vector<bool> present;  // of our fields, which the writer has
};

// ---- Schemas ----------------------------------------------------------------------------------------------------------------------

void drop_docs(Json& schema) {
  if (schema.is_object()) {
    schema.erase("doc");
    for (auto& [key, value] : schema.items())
      if (key != "default") drop_docs(value);
  } else if (schema.is_array()) {
    for (Json& item : schema) drop_docs(item);
  }
}

// Whether two schemas write the same bytes with the same meaning: equal but for spelling and documentation.
bool same_schema(Json a, Json b) {
  drop_docs(a);
  drop_docs(b);
  return a == b;
}

Logical logical_of(const Json& type) {
  if (!type.is_object() || !type.contains("logicalType")) return {};
  const Json& name = type["logicalType"];
  if (name == "decimal") {
    const Json scale = type.value("scale", Json(0));
    if (!scale.is_number_unsigned() || scale.get<uint64_t>() > 18) return {Logical::Kind::kOther, 0};
    return {Logical::Kind::kDecimal, scale.get<int>()};
  }
  if (name == "timestamp-micros") return {Logical::Kind::kMicros, 0};
  if (name == "timestamp-millis") return {Logical::Kind::kMillis, 0};
  if (name == "uuid") return {};
  return {Logical::Kind::kOther, 0};
}

std::vector<Logical> logicals_of(const Json& type) {
  if (!type.is_array()) return {logical_of(type)};
  std::vector<Logical> logicals;
  for (const Json& branch : type) logicals.push_back(logical_of(branch));
  return logicals;
}

avro_schema_t follow_link(avro_schema_t schema) { return is_avro_link(schema) ? avro_schema_link_target(schema) : schema; }

bool is_text(avro_schema_t schema) { return is_avro_string(schema) || is_avro_bytes(schema); }
bool is_integer(avro_schema_t schema) { return is_avro_int32(schema) || is_avro_int64(schema); }

// Whether values of a writer's type that is no union can become `own`.
bool convertible(avro_schema_t writer, const Logical& logical, OwnType own) {
  writer = follow_link(writer);
  using Kind = Logical::Kind;
  switch (own) {
    case OwnType::kString: return is_text(writer) && logical.kind == Kind::kNone;
    case OwnType::kBytes: return is_text(writer);
    case OwnType::kTimestamp:
      return is_integer(writer) && (logical.kind == Kind::kNone || logical.kind == Kind::kMicros || logical.kind == Kind::kMillis);
    case OwnType::kDecimal:
      return (is_avro_bytes(writer) || is_avro_fixed(writer)) && logical.kind == Kind::kDecimal && logical.scale <= Decimal18_8::kScale;
    case OwnType::kAssetClass:
    case OwnType::kSide:
    case OwnType::kStatus: return is_avro_enum(writer);
    case OwnType::kLong: return is_integer(writer) && logical.kind == Kind::kNone;
    case OwnType::kStringArray: return is_avro_array(writer) && is_text(follow_link(avro_schema_array_items(writer)));
    case OwnType::kNullableLong: return is_avro_null(writer) || is_integer(writer);
    case OwnType::kNullableText: return is_avro_null(writer) || (is_text(writer) && logical.kind == Kind::kNone);
    case OwnType::kNullableMap:
      return is_avro_null(writer) || (is_avro_map(writer) && is_text(follow_link(avro_schema_map_values(writer))));
  }
  return false;
}

// For a union: whether any of its branches can. Values of the others are errors when they occur, as Avro has it.
bool resolvable(const WriterField& field, OwnType own) {
  if (!is_avro_union(field.schema)) return convertible(field.schema, field.logicals.front(), own);
  for (size_t i = 0; i < avro_schema_union_size(field.schema); ++i)
    if (convertible(avro_schema_union_branch(field.schema, static_cast<int>(i)), field.logicals[i], own)) return true;
  return false;
}

bool has_default(OwnType type) {
  return type == OwnType::kStringArray || type == OwnType::kNullableLong || type == OwnType::kNullableText || type == OwnType::kNullableMap;
}

std::unexpected<Error> unreadable(const OwnRecord& own, const std::string& why) {
  return make_error(ErrorKind::kInvalidInput, "avro: the writer schema cannot be read as " + std::string(own.name) + ": " + why);
}

Result<WriterField> plan_field(const OwnRecord& own, avro_schema_t record, int index, const Json& json_fields) {
  WriterField field;
  const std::string_view name = avro_schema_record_field_name(record, index);
  field.schema = follow_link(avro_schema_record_field_get_by_index(record, index));
  field.logicals = logicals_of(json_fields.at(static_cast<size_t>(index)).at("type"));
  for (size_t i = 0; i < own.fields.size(); ++i) {
    if (name != own.fields[i].name) continue;
    field.own = &own.fields[i];
    field.own_index = i;
    const size_t branches = is_avro_union(field.schema) ? avro_schema_union_size(field.schema) : 1;
    if (field.logicals.size() != branches || !resolvable(field, field.own->type))
      return unreadable(own, "field " + std::string(name) + " has another type, or a logical type that cannot be converted exactly");
  }
  return field;
}

Result<Plan> make_plan(const OwnRecord& own, const std::string& text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return unreadable(own, "it is not JSON");
  Plan plan;
  if (same_schema(json, Json::parse(own.schema()))) {
    plan.is_own = true;
    return plan;
  }
  avro_schema_t schema = nullptr;
  if (avro_schema_from_json_length(text.data(), text.size(), &schema) != 0)
    return unreadable(own, std::string("avro-c: ") + avro_strerror());
  plan.root.reset(schema);
  // Resolution compares unqualified names.
  if (!is_avro_record(schema) || std::string_view(avro_schema_name(schema)) != own.name)
    return unreadable(own, "it is not a record of that name");
  plan.present.resize(own.fields.size());
  for (size_t i = 0; i < avro_schema_record_size(schema); ++i) {
    K2_TRY(WriterField field, plan_field(own, schema, static_cast<int>(i), json.at("fields")));
    if (field.own != nullptr) plan.present[field.own_index] = true;
    plan.fields.push_back(std::move(field));
  }
  for (size_t i = 0; i < own.fields.size(); ++i)
    if (!plan.present[i] && !has_default(own.fields[i].type))
      return unreadable(own, "it lacks the field " + std::string(own.fields[i].name) + ", which has no default");
  return plan;
}

// ---- Bodies -----------------------------------------------------------------------------------------------------------------------

void put_long(std::string& out, int64_t value) {
  char bytes[kLongBytesMax];
  AvroWriter writer(bytes);
  writer.write_long(value);
  out.append(bytes, writer.end());
}

void put_bytes(std::string& out, std::string_view bytes) {
  put_long(out, static_cast<int64_t>(bytes.size()));
  out.append(bytes);
}

void put_decimal(std::string& out, Decimal18_8 value) {
  char bytes[kDecimalBytesMax + kSlackBytes];
  AvroWriter writer(bytes);
  writer.write_decimal(value);
  out.append(bytes, writer.end());
}

// Reads one body by its writer schema; puts each of our fields, as our bytes, into its slot.
class BodyResolver {
 public:
  BodyResolver(const Plan& plan, std::string_view body, std::vector<std::string>& slots) : plan_(plan), reader_(body), slots_(slots) {}

  Status run(const char* record) {
    for (const WriterField& field : plan_.fields) {
      if (!reader_.ok()) break;
      if (field.own == nullptr) skip("a field that is not ours", field.schema, 0);
      else resolve(field);
    }
    return reader_.finish(record);
  }

 private:
  void resolve(const WriterField& field) {
    avro_schema_t schema = field.schema;
    size_t branch = 0;
    if (is_avro_union(schema)) {
      branch = reader_.read_index(field.own->name, avro_schema_union_size(schema));
      schema = follow_link(avro_schema_union_branch(schema, static_cast<int>(branch)));
    }
    if (!convertible(schema, field.logicals[branch], field.own->type)) {
      reader_.fail(field.own->name, "a null or a union branch that the field cannot hold");
      return;
    }
    convert(*field.own, schema, field.logicals[branch], slots_[field.own_index]);
  }

  void convert(const OwnField& own, avro_schema_t schema, const Logical& logical, std::string& out) {
    switch (own.type) {
      case OwnType::kString:
      case OwnType::kBytes: return put_bytes(out, reader_.read_bytes(own.name));
      case OwnType::kTimestamp: return convert_timestamp(own.name, logical, out);
      case OwnType::kDecimal: return convert_decimal(own.name, schema, logical, out);
      case OwnType::kAssetClass: return convert_enum(own.name, schema, parse_asset_class, out);
      case OwnType::kSide: return convert_enum(own.name, schema, parse_side, out);
      case OwnType::kStatus: return convert_enum(own.name, schema, parse_coverage_status, out);
      case OwnType::kLong: return put_long(out, reader_.read_long(own.name));
      case OwnType::kStringArray: return convert_strings(own.name, 1, out);
      case OwnType::kNullableLong:
        put_long(out, is_avro_null(schema) ? 0 : 1);
        if (!is_avro_null(schema)) put_long(out, reader_.read_long(own.name));
        return;
      case OwnType::kNullableText:
        put_long(out, is_avro_null(schema) ? 0 : 1);
        if (!is_avro_null(schema)) put_bytes(out, reader_.read_bytes(own.name));
        return;
      case OwnType::kNullableMap:
        put_long(out, is_avro_null(schema) ? 0 : 1);
        if (!is_avro_null(schema)) convert_strings(own.name, 2, out);
        return;
    }
  }

  void convert_timestamp(const char* name, const Logical& logical, std::string& out) {
    int64_t value = reader_.read_long(name);
    if (logical.kind == Logical::Kind::kMillis && __builtin_mul_overflow(value, 1000, &value))
      reader_.fail(name, "milliseconds out of range");
    put_long(out, value);
  }

  void convert_decimal(const char* name, avro_schema_t schema, const Logical& logical, std::string& out) {
    const std::string_view bytes =
        is_avro_fixed(schema) ? reader_.read_fixed(name, avro_schema_fixed_size(schema)) : reader_.read_bytes(name);
    int64_t units = reader_.decimal_of(name, bytes).units();
    for (int scale = logical.scale; scale < Decimal18_8::kScale; ++scale)
      if (__builtin_mul_overflow(units, 10, &units)) reader_.fail(name, "decimal out of range");
    const auto value = Decimal18_8::from_units(units);
    if (!value) reader_.fail(name, "decimal out of range");
    else put_decimal(out, *value);
  }

  template <class Parse>
  void convert_enum(const char* name, avro_schema_t schema, Parse parse, std::string& out) {
    const size_t symbols = static_cast<size_t>(avro_schema_enum_number_of_symbols(schema));
    const size_t index = reader_.read_index(name, symbols);
    const auto value = parse(avro_schema_enum_get(schema, static_cast<int>(index)));
    if (!value) reader_.fail(name, "a symbol that ours does not have");
    else put_long(out, static_cast<int64_t>(*value));
  }

  // An array's items (one string each) or a map's entries (two).
  void convert_strings(const char* name, int strings_per_item, std::string& out) {
    for (int64_t count = reader_.read_block_count(name); count != 0; count = reader_.read_block_count(name)) {
      put_long(out, count);
      for (int64_t i = 0; i < count * strings_per_item && reader_.ok(); ++i) put_bytes(out, reader_.read_bytes(name));
    }
    put_long(out, 0);
  }

  void skip_items(const char* name, avro_schema_t item, bool keyed, int depth) {
    for (int64_t count = reader_.read_block_count(name); count != 0; count = reader_.read_block_count(name)) {
      for (; count > 0 && reader_.ok(); --count) {
        if (keyed) reader_.read_bytes(name);
        skip(name, item, depth);
      }
    }
  }

  void skip(const char* name, avro_schema_t schema, int depth) {
    schema = follow_link(schema);
    if (depth > kDepthMax || ++items_ > kItemsMax) return reader_.fail(name, "nested too deep or too many values");
    switch (avro_typeof(schema)) {
      case AVRO_NULL: return;
      case AVRO_BOOLEAN: static_cast<void>(reader_.read_fixed(name, 1)); return;
      case AVRO_FLOAT: static_cast<void>(reader_.read_fixed(name, 4)); return;
      case AVRO_DOUBLE: static_cast<void>(reader_.read_fixed(name, 8)); return;
      case AVRO_INT32:
      case AVRO_INT64: static_cast<void>(reader_.read_long(name)); return;
      case AVRO_STRING:
      case AVRO_BYTES: static_cast<void>(reader_.read_bytes(name)); return;
      case AVRO_FIXED: static_cast<void>(reader_.read_fixed(name, avro_schema_fixed_size(schema))); return;
      case AVRO_ENUM: static_cast<void>(reader_.read_index(name, static_cast<size_t>(avro_schema_enum_number_of_symbols(schema)))); return;
      case AVRO_ARRAY: return skip_items(name, avro_schema_array_items(schema), false, depth + 1);
      case AVRO_MAP: return skip_items(name, avro_schema_map_values(schema), true, depth + 1);
      case AVRO_UNION: {
        const size_t branch = reader_.read_index(name, avro_schema_union_size(schema));
        return skip(name, avro_schema_union_branch(schema, static_cast<int>(branch)), depth + 1);
      }
      case AVRO_RECORD:
        for (size_t i = 0; i < avro_schema_record_size(schema) && reader_.ok(); ++i)
          skip(name, avro_schema_record_field_get_by_index(schema, static_cast<int>(i)), depth + 1);
        return;
      default: return reader_.fail(name, "unknown type");
    }
  }

  const Plan& plan_;
  AvroReader reader_;
  std::vector<std::string>& slots_;
  int items_ = 0;
};

// What a missing field with a default has in its slot: no items, or the null branch. Both are one zero byte.
constexpr char kDefaultBytes[] = {0};

}  // namespace

struct SchemaResolver::Impl {
  explicit Impl(const SchemaStore& store_in) : store(store_in) {}

  const SchemaStore& store;
  std::map<std::pair<RecordKind, int32_t>, Plan> plans;
  std::array<int32_t, kRecordKindCount> own_id{-1, -1, -1, -1};  // the last id found to be our own schema, per kind
  std::vector<std::string> slots;
  std::string body;

  Result<const Plan*> plan(RecordKind kind, int32_t schema_id) {
    const auto known = plans.find({kind, schema_id});
    if (known != plans.end()) return &known->second;
    const std::string context = "schema id " + std::to_string(schema_id);
    const auto text = store.schema(schema_id);
    if (!text) return std::unexpected(text.error().with_context(context));
    auto made = make_plan(own_record(kind), *text);
    if (!made) return std::unexpected(made.error().with_context(context));
    return &plans.emplace(std::pair(kind, schema_id), *std::move(made)).first->second;
  }

  Result<std::string_view> resolve(const Plan& plan, const OwnRecord& own, std::string_view from) {
    slots.resize(own.fields.size());
    for (size_t i = 0; i < slots.size(); ++i) {
      slots[i].clear();
      if (!plan.present[i]) slots[i].assign(kDefaultBytes, sizeof kDefaultBytes);
    }
    K2_RETURN_IF_ERROR(BodyResolver(plan, from, slots).run(own.name));
    body.clear();
    for (const std::string& slot : slots) body += slot;
    return body;
  }
};

SchemaResolver::SchemaResolver(const SchemaStore& store) : impl_(std::make_unique<Impl>(store)) {}
SchemaResolver::~SchemaResolver() = default;

Result<std::string_view> SchemaResolver::own_body(RecordKind kind, std::string_view message) {
  K2_TRY(const Frame frame, read_frame(message));
  int32_t& own_id = impl_->own_id[static_cast<size_t>(kind)];
  if (frame.schema_id == own_id) [[likely]]
    return frame.body;
  K2_TRY(const Plan* plan, impl_->plan(kind, frame.schema_id));
  if (plan->is_own) {
    own_id = frame.schema_id;
    return frame.body;
  }
  return impl_->resolve(*plan, own_record(kind), frame.body);
}

}  // namespace k2
