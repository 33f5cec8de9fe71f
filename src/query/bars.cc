#include "query/bars.h"

#include <arrow/api.h>

#include <algorithm>
#include <cstring>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "base/assert.h"
#include "base/decimal.h"
#include "market/event.h"
#include "query/batch_column.h"

namespace k2 {
namespace {

using Int128 = __int128;

constexpr int kPrecisionMax = 38;  // of Arrow's decimal128
constexpr int kNotionalScale = 2 * Decimal18_8::kScale;

constexpr Int128 kSumMax = [] {
  Int128 power = 1;
  for (int i = 0; i < kPrecisionMax; ++i) power *= 10;
  return power - 1;
}();

struct Interval {
  std::string_view name;
  int64_t seconds;
};
constexpr Interval kIntervals[] = {{"1s", 1},   {"5s", 5},    {"10s", 10},   {"15s", 15},  {"30s", 30},    {"1m", 60},
                                   {"5m", 300}, {"15m", 900}, {"30m", 1800}, {"1h", 3600}, {"4h", 14'400}, {"1d", 86'400}};

// Rounded down, before 1970 too.
int64_t bar_begin(int64_t us, int64_t interval_us) {
  const int64_t rest = us % interval_us;
  return us - (rest < 0 ? rest + interval_us : rest);
}

// To the nearest integer, halves to the even one. `divisor` is not 0.
Int128 divide_half_even(Int128 dividend, Int128 divisor) {
  if (divisor < 0) {
    dividend = -dividend;
    divisor = -divisor;
  }
  Int128 quotient = dividend / divisor;
  const Int128 rest = dividend % divisor;
  const Int128 size = rest < 0 ? -rest : rest;
  const Int128 other = divisor - size;  // not 2 * size, which may not fit
  if (size > other || (size == other && quotient % 2 != 0)) quotient += dividend < 0 ? -1 : 1;
  return quotient;
}

arrow::Decimal128 to_arrow(Int128 value) { return {static_cast<int64_t>(value >> 64), static_cast<uint64_t>(value)}; }

// A decimal(18,8)'s units: the low half of Arrow's two's complement.
int64_t units_at(const arrow::Decimal128Array& array, int64_t row) {
  int64_t units = 0;
  std::memcpy(&units, array.GetValue(row), sizeof units);
  return units;
}

struct TradeRow {
  int64_t us;
  int64_t price;  // both in 1e-8
  int64_t quantity;
  bool is_buy;
};

// The bars of one symbol on one exchange, one after the other.
struct Series {
  std::string symbol, exchange;
  std::optional<int64_t> last_price;  // of the trade before, in this bar or an earlier one of the answer
  bool is_open = false;  // whether the current bar has a trade; what follows is of that bar
  int64_t open = 0, high = 0, low = 0, count = 0;
  int64_t priced_from = 0, priced_to = 0, first = 0, last = 0;  // us
  Int128 quantity = 0, buy_quantity = 0, notional = 0, price_time = 0;

  void begin(int64_t bar, const TradeRow& trade) {
    is_open = true;
    open = high = low = trade.price;
    count = 0;
    first = trade.us;
    priced_from = priced_to = last_price ? bar : trade.us;
    quantity = buy_quantity = notional = price_time = 0;
  }

  // The last price was in force up to `us`. Fits: a price has 60 bits, a day's microseconds have 37.
  void hold_price(int64_t us) {
    if (last_price) price_time += static_cast<Int128>(*last_price) * (us - priced_to);
    priced_to = us;
  }

  [[nodiscard]] bool add(const TradeRow& trade) {
    hold_price(trade.us);
    last_price = trade.price;
    last = trade.us;
    high = std::max(high, trade.price);
    low = std::min(low, trade.price);
    ++count;
    quantity += trade.quantity;  // 2^63 trades of 60 bits fit
    if (trade.is_buy) buy_quantity += trade.quantity;
    notional += static_cast<Int128>(trade.price) * trade.quantity;  // at most 1e38 + 1e36, so the sum itself fits
    return notional <= kSumMax && notional >= -kSumMax;
  }
};

std::shared_ptr<arrow::Schema> bars_schema() {
  const auto price = arrow::decimal128(Decimal18_8::kPrecision, Decimal18_8::kScale);
  const auto sum = arrow::decimal128(kPrecisionMax, Decimal18_8::kScale);
  const auto time = arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
  return arrow::schema({arrow::field("symbol", arrow::utf8()), arrow::field("exchange", arrow::utf8()), arrow::field("timestamp", time),
                        arrow::field("open", price), arrow::field("high", price), arrow::field("low", price), arrow::field("close", price),
                        arrow::field("quantity", sum), arrow::field("notional", arrow::decimal128(kPrecisionMax, kNotionalScale)),
                        arrow::field("vwap", sum), arrow::field("twap", price), arrow::field("trade_count", arrow::int64()),
                        arrow::field("buy_quantity", sum), arrow::field("first_timestamp", time), arrow::field("last_timestamp", time)});
}

// Finished bars, column by column.
class BarRows {
 public:
  BarRows() : schema_(bars_schema()) {
    auto made = arrow::RecordBatchBuilder::Make(schema_, arrow::default_memory_pool());
    K2_ASSERT(made.ok());  // refuses only types that do not exist
    builder_ = *std::move(made);
  }
  [[nodiscard]] const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }
  [[nodiscard]] int64_t size() const { return rows_; }

  /// The bar that begins at `begin`; its price is held up to priced_to already.
  void add(const Series& bar, int64_t begin) {
    int column = 0;
    const auto text = [&](const std::string& value) { keep(builder_->GetFieldAs<arrow::StringBuilder>(column++)->Append(value)); };
    const auto time = [&](int64_t us) { keep(builder_->GetFieldAs<arrow::TimestampBuilder>(column++)->Append(us)); };
    const auto decimal = [&](Int128 value) { keep(builder_->GetFieldAs<arrow::Decimal128Builder>(column++)->Append(to_arrow(value))); };
    text(bar.symbol);
    text(bar.exchange);
    time(begin);
    decimal(bar.open);
    decimal(bar.high);
    decimal(bar.low);
    decimal(*bar.last_price);
    decimal(bar.quantity);
    decimal(bar.notional);
    if (bar.quantity == 0) keep(builder_->GetField(column++)->AppendNull());
    else decimal(divide_half_even(bar.notional, bar.quantity));
    decimal(divide_half_even(bar.price_time, bar.priced_to - bar.priced_from));
    keep(builder_->GetFieldAs<arrow::Int64Builder>(column++)->Append(bar.count));
    decimal(bar.buy_quantity);
    time(bar.first);
    time(bar.last);
    ++rows_;
  }

  Result<std::shared_ptr<arrow::RecordBatch>> take() {
    if (!status_.ok()) return make_error(ErrorKind::kUnavailable, "bars: cannot build an answer: " + status_.ToString());
    auto batch = builder_->Flush();
    if (!batch.ok()) return make_error(ErrorKind::kUnavailable, "bars: cannot build an answer: " + batch.status().ToString());
    rows_ = 0;
    return *std::move(batch);
  }

 private:
  void keep(const arrow::Status& status) {
    if (!status.ok() && status_.ok()) status_ = status;
  }

  std::shared_ptr<arrow::Schema> schema_;
  std::unique_ptr<arrow::RecordBatchBuilder> builder_;
  arrow::Status status_;
  int64_t rows_ = 0;
};

class BarsResult final : public QueryResult {
 public:
  BarsResult(std::unique_ptr<QueryResult> trades, const BarQuery& query)
      : trades_(std::move(trades)), interval_us_(query.interval_us), end_(query.end), left_(query.limit.value_or(INT64_MAX)) {}

  [[nodiscard]] const std::shared_ptr<arrow::Schema>& schema() const override { return rows_.schema(); }

  Result<std::shared_ptr<arrow::RecordBatch>> next() override {
    while (trades_ && left_ > 0 && rows_.size() == 0) {
      K2_TRY(const auto batch, trades_->next());
      if (batch) {
        K2_RETURN_IF_ERROR(add(*batch));
      } else {
        close_bars();
        trades_.reset();
      }
    }
    if (left_ <= 0 || rows_.size() == 0) return nullptr;
    K2_TRY(auto bars, rows_.take());
    if (bars->num_rows() > left_) bars = bars->Slice(0, left_);
    left_ -= bars->num_rows();
    return bars;
  }

 private:
  Status add(const arrow::RecordBatch& batch) {
    const auto& symbols = column_of<arrow::StringArray>(batch, "symbol");
    const auto& exchanges = column_of<arrow::StringArray>(batch, "exchange");
    const auto& times = column_of<arrow::TimestampArray>(batch, "timestamp");
    const auto& prices = column_of<arrow::Decimal128Array>(batch, "price");
    const auto& quantities = column_of<arrow::Decimal128Array>(batch, "quantity");
    const auto& sides = column_of<arrow::StringArray>(batch, "side");
    for (int64_t row = 0; row < batch.num_rows(); ++row) {
      const TradeRow trade{times.Value(row), units_at(prices, row), units_at(quantities, row), sides.GetView(row) == "BUY"};
      if (trade.us >= bar_end_ || open_.empty()) turn_to(trade.us);
      K2_ASSERT(trade.us >= bar_);  // events() come by time
      Series& series = series_of(symbols.GetView(row), exchanges.GetView(row));
      if (!series.is_open) {
        series.begin(bar_, trade);
        open_.push_back(&series);
      }
      if (!series.add(trade))
        return make_error(ErrorKind::kInvalidInput, "bars: the notional of " + series.symbol + " on " + series.exchange + " from " +
                                                        format_rfc3339({bar_}) + " has more than 38 digits: ask for a smaller interval");
    }
    return {};
  }

  void turn_to(int64_t us) {
    close_bars();
    bar_ = bar_begin(us, interval_us_);
    bar_end_ = bar_ + interval_us_;
  }

  void close_bars() {
    std::ranges::sort(open_,
                      [](const Series* a, const Series* b) { return std::tie(a->exchange, a->symbol) < std::tie(b->exchange, b->symbol); });
    const int64_t known_to = end_ ? std::min(bar_end_, end_->us) : bar_end_;
    for (Series* series : open_) {
      series->hold_price(known_to);
      rows_.add(*series, bar_);
      series->is_open = false;
    }
    open_.clear();
  }

  Series& series_of(std::string_view symbol, std::string_view exchange) {
    if (latest_ && latest_->symbol == symbol && latest_->exchange == exchange) return *latest_;
    key_.assign(exchange).append(1, '\0').append(symbol);
    auto& series = series_[key_];
    if (!series) {
      series = std::make_unique<Series>();
      series->symbol = symbol;
      series->exchange = exchange;
    }
    latest_ = series.get();
    return *latest_;
  }

  std::unique_ptr<QueryResult> trades_;  // nullptr: all read
  int64_t interval_us_;
  std::optional<TimestampUs> end_;
  int64_t left_;
  int64_t bar_ = 0, bar_end_ = INT64_MIN;
  std::unordered_map<std::string, std::unique_ptr<Series>> series_;
  std::vector<Series*> open_;  // those with a trade in the current bar
  Series* latest_ = nullptr;
  std::string key_;
  BarRows rows_;
};

}  // namespace

Result<int64_t> parse_bar_interval(std::string_view text) {
  std::string names;
  for (const Interval& interval : kIntervals) {
    if (interval.name == text) return interval.seconds * kUsPerSecond;
    names += names.empty() ? "" : ", ";
    names += interval.name;
  }
  return make_error(ErrorKind::kInvalidInput, "interval \"" + std::string(text) + "\": one of " + names);
}

Result<std::unique_ptr<QueryResult>> bars(Engine& engine, const BarQuery& query, const Cut& cut, const QueryLimits& limits) {
  K2_ASSERT(query.interval_us > 0 && query.interval_us <= kUsPerDay);
  const EventQuery trades{.channel = Channel::kTrades,
                          .symbols = query.symbols,
                          .exchange = query.exchange,
                          .start = query.start,
                          .end = query.end,
                          .columns = {"symbol", "exchange", "timestamp", "price", "quantity", "side"}};
  K2_TRY(auto rows, engine.events(trades, cut, limits));
  return std::make_unique<BarsResult>(std::move(rows), query);
}

}  // namespace k2
