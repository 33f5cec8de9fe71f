#include "table/row_order.h"

#include <arrow/api.h>
#include <arrow/util/bit_util.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <new>
#include <numeric>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "base/assert.h"
#include "base/time.h"
#include "table/schema.h"

namespace k2 {
namespace {

// Gives each distinct text a number in the order of the texts.
std::vector<uint32_t> rank_texts(const arrow::StringArray& texts, std::vector<std::string_view>* distinct) {
  std::unordered_map<std::string_view, uint32_t> numbers;
  std::vector<uint32_t> ranks(static_cast<size_t>(texts.length()));
  uint32_t previous = 0;
  for (int64_t row = 0; row < texts.length(); ++row) {
    const std::string_view text = texts.GetView(row);
    if (row > 0 && text == texts.GetView(row - 1)) {
      ranks[static_cast<size_t>(row)] = previous;
      continue;
    }
    previous = numbers.try_emplace(text, static_cast<uint32_t>(numbers.size())).first->second;
    ranks[static_cast<size_t>(row)] = previous;
  }
  std::vector<std::pair<std::string_view, uint32_t>> ordered(numbers.begin(), numbers.end());
  std::sort(ordered.begin(), ordered.end());
  std::vector<uint32_t> rank_of(ordered.size());
  for (size_t rank = 0; rank < ordered.size(); ++rank) {
    rank_of[ordered[rank].second] = static_cast<uint32_t>(rank);
    distinct->push_back(ordered[rank].first);
  }
  for (uint32_t& rank : ranks) rank = rank_of[rank];
  return ranks;
}

template <class Array>
const Array& column(const arrow::RecordBatch& rows, std::string_view name) {
  return static_cast<const Array&>(*rows.GetColumnByName(std::string(name)));
}

// Rows that share file and symbol.
struct Group {
  int32_t day;
  uint32_t exchange, symbol;  // ranks
  size_t next = 0;            // first the number of its rows, then where the next one goes
  [[nodiscard]] auto key() const { return std::tuple(day, exchange, symbol); }
};

// Which group each row is in. The groups come in the order of their first rows.
std::vector<uint32_t> find_groups(const TableSpec& table, const arrow::TimestampArray& timestamps, const std::vector<uint32_t>& exchanges,
                                  const std::vector<uint32_t>& symbols, size_t symbol_count, std::vector<Group>* groups) {
  constexpr uint32_t kNone = UINT32_MAX;
  std::map<std::tuple<int32_t, uint32_t, uint32_t>, uint32_t> known;
  std::vector<uint32_t> latest(symbol_count, kNone);  // a symbol's rows mostly go where its last one went
  std::vector<uint32_t> group_of(symbols.size());
  for (size_t row = 0; row < symbols.size(); ++row) {
    const uint32_t symbol = symbols[row];
    const int32_t day = table.partitioned_by_day_and_exchange ? days_since_epoch({timestamps.Value(static_cast<int64_t>(row))}) : 0;
    const uint32_t exchange = table.partitioned_by_day_and_exchange ? exchanges[row] : 0;
    uint32_t group = latest[symbol];
    if (group == kNone || (*groups)[group].day != day || (*groups)[group].exchange != exchange) {
      group = known.try_emplace({day, exchange, symbol}, static_cast<uint32_t>(groups->size())).first->second;
      if (group == groups->size()) groups->push_back({day, exchange, symbol});
      latest[symbol] = group;
    }
    ++(*groups)[group].next;
    group_of[row] = group;
  }
  return group_of;
}

}  // namespace

// A stable bucket sort by (day, exchange, symbol); within a bucket rows mostly come in time order already, so that is looked at before sorting.
RowOrder order_rows(const TableSpec& table, const arrow::RecordBatch& rows) {
  const auto count = static_cast<size_t>(rows.num_rows());
  RowOrder order{std::vector<int32_t>(count), {}};
  if (!find_column(table, "timestamp")) {
    std::iota(order.rows.begin(), order.rows.end(), 0);
    order.parts.push_back({{}, {}, 0, count});
    return order;
  }
  const auto& timestamps = column<arrow::TimestampArray>(rows, "timestamp");
  std::vector<std::string_view> exchanges, symbols;
  const auto exchange_ranks = rank_texts(column<arrow::StringArray>(rows, "exchange"), &exchanges);
  const auto symbol_ranks = rank_texts(column<arrow::StringArray>(rows, "symbol"), &symbols);
  std::vector<Group> groups;
  const auto group_of = find_groups(table, timestamps, exchange_ranks, symbol_ranks, symbols.size(), &groups);

  std::vector<uint32_t> in_order(groups.size());
  std::iota(in_order.begin(), in_order.end(), 0);
  std::sort(in_order.begin(), in_order.end(), [&](uint32_t a, uint32_t b) { return groups[a].key() < groups[b].key(); });
  size_t begin = 0;
  for (const uint32_t index : in_order) {
    Group& group = groups[index];
    const bool same_file =
        !order.parts.empty() && (!table.partitioned_by_day_and_exchange ||
                                 (order.parts.back().day == group.day && order.parts.back().exchange == exchanges[group.exchange]));
    if (!same_file) {
      order.parts.push_back({{}, {}, begin, begin});
      if (table.partitioned_by_day_and_exchange) {
        order.parts.back().day = group.day;
        order.parts.back().exchange = std::string(exchanges[group.exchange]);
      }
    }
    begin += std::exchange(group.next, begin);
    order.parts.back().end = begin;
  }
  for (size_t row = 0; row < count; ++row) order.rows[groups[group_of[row]].next++] = static_cast<int32_t>(row);

  const auto earlier = [&](int32_t a, int32_t b) { return timestamps.Value(a) < timestamps.Value(b); };
  auto first = order.rows.begin();
  for (const uint32_t index : in_order) {
    const auto last = order.rows.begin() + static_cast<std::ptrdiff_t>(groups[index].next);
    if (!std::is_sorted(first, last, earlier)) std::stable_sort(first, last, earlier);
    first = last;
  }
  return order;
}

// --- picking ------------------------------------------------------------------------------------------------------------

namespace {

using ScratchBuffer = std::shared_ptr<arrow::ResizableBuffer>;

// Room for `bytes` in `buffer`, whose old content is of no use.
uint8_t* room(ScratchBuffer& buffer, int64_t bytes) {
  if (!buffer) buffer = arrow::AllocateResizableBuffer(0).ValueOrDie();
  if (!buffer->Resize(bytes, /*shrink_to_fit=*/false).ok()) throw std::bad_alloc();
  return buffer->mutable_data();
}

template <size_t kWidth>
void pick_fixed(const uint8_t* from, std::span<const int32_t> rows, uint8_t* to) {
  for (const int32_t row : rows) {
    std::memcpy(to, from + static_cast<size_t>(row) * kWidth, kWidth);
    to += kWidth;
  }
}

// Texts at `rows`: offsets into `to_offsets`, bytes into the returned buffer.
void pick_texts(const arrow::StringArray& texts, std::span<const int32_t> rows, ScratchBuffer& to_offsets, ScratchBuffer& to_bytes) {
  constexpr int64_t kWord = 16;  // short texts are copied as one word, which may reach past their end
  const int32_t* const offsets = texts.raw_value_offsets();
  auto* const ends = reinterpret_cast<int32_t*>(room(to_offsets, static_cast<int64_t>((rows.size() + 1) * sizeof(int32_t))));
  int32_t end = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    ends[i] = end;
    end += offsets[rows[i] + 1] - offsets[rows[i]];
  }
  ends[rows.size()] = end;
  uint8_t* const bytes = room(to_bytes, end + kWord);
  const uint8_t* const from = texts.value_data() ? texts.value_data()->data() : nullptr;
  const int64_t from_size = texts.value_data() ? texts.value_data()->size() : 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const int32_t at = offsets[rows[i]];
    const int32_t size = ends[i + 1] - ends[i];
    if (size <= kWord && at + kWord <= from_size) std::memcpy(bytes + ends[i], from + at, kWord);
    else if (size > 0) std::memcpy(bytes + ends[i], from + at, static_cast<size_t>(size));
  }
}

// Whether all rows hold the same text: equal lengths, and the bytes repeat.
bool is_constant(const arrow::Array& array) {
  if (array.type_id() != arrow::Type::STRING || array.null_count() > 0 || array.length() == 0) return false;
  const auto& texts = static_cast<const arrow::StringArray&>(array);
  const int64_t width = texts.value_length(0);
  for (int64_t row = 1; row < texts.length(); ++row)
    if (texts.value_length(row) != width) return false;
  const uint8_t* const bytes = texts.value_data() ? texts.value_data()->data() + texts.value_offset(0) : nullptr;
  return width == 0 || std::memcmp(bytes, bytes + width, static_cast<size_t>(width * (texts.length() - 1))) == 0;
}

}  // namespace

struct RowPicker::Column {
  std::shared_ptr<arrow::Array> from;
  bool constant = false;  // says the same in every row: nothing to pick
  ScratchBuffer validity, offsets, values, inner_offsets;
  std::vector<int32_t> inner_rows;

  std::shared_ptr<arrow::Array> pick(std::span<const int32_t> rows) {
    const auto count = static_cast<int64_t>(rows.size());
    if (constant) return from->Slice(0, count);
    const auto valid = pick_validity(rows);
    const auto& type = from->type();
    if (type->id() == arrow::Type::STRING) {
      pick_texts(static_cast<const arrow::StringArray&>(*from), rows, offsets, values);
      return arrow::MakeArray(arrow::ArrayData::Make(type, count, {valid, offsets, values}));
    }
    if (type->id() == arrow::Type::LIST) return pick_lists(rows, valid);
    const int width = static_cast<const arrow::FixedWidthType&>(*type).bit_width() / 8;
    const uint8_t* const data = from->data()->buffers[1]->data() + from->offset() * width;
    uint8_t* const to = room(values, count * width);
    if (width == 16) pick_fixed<16>(data, rows, to);
    else if (width == 8) pick_fixed<8>(data, rows, to);
    else if (width == 4) pick_fixed<4>(data, rows, to);
    else K2_ASSERT(!"a column of a width that no table has");
    return arrow::MakeArray(arrow::ArrayData::Make(type, count, {valid, values}));
  }

 private:
  // nullptr where no row of the column is null.
  std::shared_ptr<arrow::Buffer> pick_validity(std::span<const int32_t> rows) {
    if (from->null_count() == 0) return nullptr;
    uint8_t* const bits = room(validity, arrow::bit_util::BytesForBits(static_cast<int64_t>(rows.size())));
    std::memset(bits, 0, static_cast<size_t>(validity->size()));
    for (size_t i = 0; i < rows.size(); ++i)
      if (from->IsValid(rows[i])) arrow::bit_util::SetBit(bits, static_cast<int64_t>(i));
    return validity;
  }

  // Lists of required texts.
  std::shared_ptr<arrow::Array> pick_lists(std::span<const int32_t> rows, const std::shared_ptr<arrow::Buffer>& valid) {
    const auto& lists = static_cast<const arrow::ListArray&>(*from);
    K2_ASSERT(lists.value_type()->id() == arrow::Type::STRING && lists.values()->null_count() == 0);
    auto* const ends = reinterpret_cast<int32_t*>(room(offsets, static_cast<int64_t>((rows.size() + 1) * sizeof(int32_t))));
    inner_rows.clear();
    for (size_t i = 0; i < rows.size(); ++i) {
      ends[i] = static_cast<int32_t>(inner_rows.size());
      for (int32_t item = lists.value_offset(rows[i]); item < lists.value_offset(rows[i] + 1); ++item) inner_rows.push_back(item);
    }
    ends[rows.size()] = static_cast<int32_t>(inner_rows.size());
    pick_texts(static_cast<const arrow::StringArray&>(*lists.values()), inner_rows, inner_offsets, values);
    const auto items =
        arrow::ArrayData::Make(lists.value_type(), static_cast<int64_t>(inner_rows.size()), {nullptr, inner_offsets, values});
    return arrow::MakeArray(arrow::ArrayData::Make(from->type(), static_cast<int64_t>(rows.size()), {valid, offsets}, {items}));
  }
};

RowPicker::RowPicker(std::shared_ptr<arrow::RecordBatch> batch) : batch_(std::move(batch)) {
  for (const auto& column : batch_->columns()) columns_.push_back({.from = column, .constant = is_constant(*column)});
}

RowPicker::~RowPicker() = default;

Result<std::shared_ptr<arrow::RecordBatch>> RowPicker::pick(std::span<const int32_t> rows) {
  const auto count = static_cast<int64_t>(rows.size());
  const bool is_run = rows.back() - rows.front() + 1 == count && std::is_sorted(rows.begin(), rows.end());
  if (is_run) return batch_->Slice(rows.front(), count);
  try {
    arrow::ArrayVector picked;
    for (Column& column : columns_) picked.push_back(column.pick(rows));
    return arrow::RecordBatch::Make(batch_->schema(), count, std::move(picked));
  } catch (const std::bad_alloc&) {
    return make_error(ErrorKind::kUnavailable, "data file: out of memory for " + std::to_string(count) + " rows");
  }
}

}  // namespace k2
