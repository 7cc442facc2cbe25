// The client: device proxies, readings, writes, commands, change events.
#include "common.h"
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <unistd.h>
#include <vector>

using namespace Tango;

Failure failure(const DevErrorList &errors) {
    if (errors.length() == 0) {
        return {TANGO_REFUSED, "the server gave no reason"};
    }
    int32_t outcome = TANGO_REFUSED;
    for (CORBA::ULong i = 0; i < errors.length(); ++i) {
        const std::string reason = errors[i].reason.in();
        if (reason == "API_DeviceTimedOut" || reason == "API_CommandTimedOut") {
            return {TANGO_TIMED_OUT, errors[i].desc.in()};
        }
        if (reason == "API_CantConnectToDevice" || reason == "API_DeviceNotExported" ||
            reason == "DB_DeviceNotDefined" || reason == "API_DeviceNotDefined" ||
            reason == "API_CantConnectToDatabase" || reason == "API_CommunicationFailed" ||
            reason == "API_CorbaException" || reason == "API_ServerNotRunning" || reason == "API_BadConfigurationProperty" ||
            reason == "API_AttrNotFound" || reason == "API_CommandNotFound" || reason == "API_DatabaseCommunicationFailed" ||
            reason == "API_CantConnectToDatabase" || reason == "DB_IncorrectDeviceName") {
            outcome = TANGO_ABSENT;
        }
        if (reason == "API_AttributePollingNotStarted" || reason == "API_EventPropertiesNotSet" ||
            reason == "API_UnsupportedFeature" || reason == "API_EventSupplierNotConstructed" ||
            reason == "API_NotificationServiceFailed" || reason == "API_DSFailedRegisteringEvent") {
            outcome = TANGO_NO_EVENTS;
        }
    }
    std::string text = errors[0].desc.in();
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) {
        text.pop_back();
    }
    return {outcome, text + " (" + errors[0].reason.in() + ")"};
}

struct TangoDevice {
    std::unique_ptr<DeviceProxy> proxy;
    int32_t timeout = 0;
    bool direct = false;
};

namespace {

// The parts of a sample that own their memory.
struct Owned {
    TangoSample sample{};
    std::vector<double> numbers;
    std::vector<std::string> strings;
    std::vector<const char *> texts;

    const TangoSample *view() {
        texts.clear();
        for (const std::string &text : strings) {
            texts.push_back(text.c_str());
        }
        sample.numbers = numbers.data();
        sample.number_count = numbers.size();
        sample.texts = texts.data();
        sample.text_count = texts.size();
        return &sample;
    }
};

void fail(const Failure &why, size_t place, void *context, TangoSampleSink sink) {
    TangoSample sample{};
    sample.outcome = why.outcome;
    sample.text = why.text.c_str();
    sink(context, place, &sample);
}

template <typename T> void numbers(DeviceAttribute &from, Owned &to) {
    std::vector<T> values;
    from.extract_read(values);
    to.numbers.assign(values.begin(), values.end());
}

// What a reading holds. A type that cannot be carried is left without numbers and texts.
void take(DeviceAttribute &from, Owned &to) {
    TangoSample &sample = to.sample;
    sample.outcome = TANGO_DONE;
    sample.type = from.get_type();
    sample.quality = from.get_quality();
    sample.format = from.get_data_format() == IMAGE ? 2 : from.get_data_format() == SPECTRUM ? 1 : 0;
    const TimeVal time = from.get_date();
    sample.time = (int64_t{time.tv_sec} * 1000000 + time.tv_usec) * 1000 + time.tv_nsec;
    sample.width = from.get_dim_x();
    sample.height = from.get_dim_y();
    if (sample.quality == ATTR_INVALID) {
        return;
    }
    from.reset_exceptions(DeviceAttribute::isempty_flag);
    switch (sample.type) {
    case DEV_DOUBLE: from.extract_read(to.numbers); break;
    case DEV_FLOAT: numbers<DevFloat>(from, to); break;
    case DEV_LONG: numbers<DevLong>(from, to); break;
    case DEV_ULONG: numbers<DevULong>(from, to); break;
    case DEV_LONG64: numbers<DevLong64>(from, to); break;
    case DEV_ULONG64: numbers<DevULong64>(from, to); break;
    case DEV_SHORT:
    case DEV_ENUM: numbers<DevShort>(from, to); break;
    case DEV_USHORT: numbers<DevUShort>(from, to); break;
    case DEV_UCHAR: numbers<DevUChar>(from, to); break;
    case DEV_BOOLEAN: {
        std::vector<DevBoolean> values;
        from.extract_read(values);
        to.numbers.assign(values.begin(), values.end());
        break;
    }
    case DEV_STATE:
        if (sample.format == 0) {
            DevState state;
            from >> state;
            to.numbers.assign(1, state);
        } else {
            std::vector<DevState> values;
            from.extract_read(values);
            to.numbers.assign(values.begin(), values.end());
        }
        break;
    case DEV_STRING: from.extract_read(to.strings); break;
    default: break;
    }
    // the sequence of a writable attribute may hold the set value too
    const size_t length = sample.format == 2   ? sample.width * sample.height
                          : sample.format == 1 ? sample.width
                                               : 1;
    if (to.numbers.size() > length) {
        to.numbers.resize(length);
    }
    if (to.strings.size() > length) {
        to.strings.resize(length);
    }
}

void give(DeviceAttribute &from, size_t place, void *context, TangoSampleSink sink) {
    if (from.has_failed()) {
        fail(failure(from.get_err_stack()), place, context, sink);
        return;
    }
    Owned owned;
    guarded(
        [&] {
            take(from, owned);
            sink(context, place, owned.view());
        },
        [&](const Failure &why) { fail(why, place, context, sink); });
}

template <typename T> std::vector<T> narrowed(const TangoValue &from) {
    std::vector<T> values;
    values.reserve(from.number_count);
    for (size_t i = 0; i < from.number_count; ++i) {
        values.push_back(static_cast<T>(from.numbers[i]));
    }
    return values;
}

std::vector<std::string> strings(const TangoValue &from) {
    return std::vector<std::string>(from.texts, from.texts + from.text_count);
}

template <typename T> void put(DeviceAttribute &to, const TangoValue &from) {
    std::vector<T> values = narrowed<T>(from);
    if (from.format == 0) {
        T value = values.at(0);
        to << value;
    } else {
        to.insert(values, static_cast<int>(from.width), static_cast<int>(from.height));
    }
}

void fill(DeviceAttribute &to, const TangoValue &from) {
    to.set_name(from.name);
    switch (from.type) {
    case DEV_DOUBLE: put<DevDouble>(to, from); break;
    case DEV_FLOAT: put<DevFloat>(to, from); break;
    case DEV_LONG: put<DevLong>(to, from); break;
    case DEV_ULONG: put<DevULong>(to, from); break;
    case DEV_LONG64: put<DevLong64>(to, from); break;
    case DEV_ULONG64: put<DevULong64>(to, from); break;
    case DEV_SHORT:
    case DEV_ENUM: put<DevShort>(to, from); break;
    case DEV_USHORT: put<DevUShort>(to, from); break;
    case DEV_UCHAR: put<DevUChar>(to, from); break;
    case DEV_BOOLEAN:
        if (from.format == 0) {
            to << static_cast<DevBoolean>(from.numbers[0] != 0.0);
        } else {
            std::vector<DevBoolean> values = narrowed<DevBoolean>(from);
            to.insert(values, static_cast<int>(from.width), static_cast<int>(from.height));
        }
        break;
    case DEV_STATE: to << static_cast<DevState>(static_cast<int>(from.numbers[0])); break;
    case DEV_STRING: {
        std::vector<std::string> values = strings(from);
        if (from.format == 0) {
            to << values.at(0);
        } else {
            to.insert(values, static_cast<int>(from.width), static_cast<int>(from.height));
        }
        break;
    }
    default: Except::throw_exception("Fodo_Type", "a value of this type cannot be written", "fodo");
    }
}

// The argument of a command.
void fill(DeviceData &to, const TangoValue &from) {
    switch (from.type) {
    case DEV_VOID: break;
    case DEV_DOUBLE: to << DevDouble(from.numbers[0]); break;
    case DEV_FLOAT: to << DevFloat(from.numbers[0]); break;
    case DEV_LONG: to << DevLong(from.numbers[0]); break;
    case DEV_ULONG: to << DevULong(from.numbers[0]); break;
    case DEV_LONG64: to << DevLong64(from.numbers[0]); break;
    case DEV_ULONG64: to << DevULong64(from.numbers[0]); break;
    case DEV_SHORT: to << DevShort(from.numbers[0]); break;
    case DEV_USHORT: to << DevUShort(from.numbers[0]); break;
    case DEV_BOOLEAN: to << DevBoolean(from.numbers[0] != 0.0); break;
    case DEV_STATE: to << DevState(int(from.numbers[0])); break;
    case DEV_STRING: {
        std::string text = from.texts[0];
        to << text;
        break;
    }
    case DEVVAR_DOUBLEARRAY: {
        std::vector<double> values = narrowed<double>(from);
        to << values;
        break;
    }
    case DEVVAR_FLOATARRAY: {
        std::vector<float> values = narrowed<float>(from);
        to << values;
        break;
    }
    case DEVVAR_LONGARRAY: {
        std::vector<DevLong> values = narrowed<DevLong>(from);
        to << values;
        break;
    }
    case DEVVAR_SHORTARRAY: {
        std::vector<DevShort> values = narrowed<DevShort>(from);
        to << values;
        break;
    }
    case DEVVAR_STRINGARRAY: {
        std::vector<std::string> values = strings(from);
        to << values;
        break;
    }
    default: Except::throw_exception("Fodo_Type", "an argument of this type cannot be given", "fodo");
    }
}

template <typename T> void one(DeviceData &from, Owned &to) {
    T value{};
    from >> value;
    to.numbers.assign(1, static_cast<double>(value));
}

template <typename T> void several(DeviceData &from, Owned &to) {
    std::vector<T> values;
    from >> values;
    to.sample.format = 1;
    to.sample.width = values.size();
    to.numbers.assign(values.begin(), values.end());
}

// What a command returned. A type that cannot be carried is left without numbers and texts.
void take(DeviceData &from, Owned &to) {
    to.sample.outcome = TANGO_DONE;
    to.sample.type = from.get_type();
    to.sample.quality = ATTR_VALID;
    to.sample.time = std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count();
    switch (to.sample.type) {
    case DEV_DOUBLE: one<DevDouble>(from, to); break;
    case DEV_FLOAT: one<DevFloat>(from, to); break;
    case DEV_LONG: one<DevLong>(from, to); break;
    case DEV_ULONG: one<DevULong>(from, to); break;
    case DEV_LONG64: one<DevLong64>(from, to); break;
    case DEV_ULONG64: one<DevULong64>(from, to); break;
    case DEV_SHORT: one<DevShort>(from, to); break;
    case DEV_USHORT: one<DevUShort>(from, to); break;
    case DEV_BOOLEAN: one<DevBoolean>(from, to); break;
    case DEV_STATE: one<DevState>(from, to); break;
    case DEVVAR_DOUBLEARRAY: several<double>(from, to); break;
    case DEVVAR_FLOATARRAY: several<float>(from, to); break;
    case DEVVAR_LONGARRAY: several<DevLong>(from, to); break;
    case DEVVAR_SHORTARRAY: several<DevShort>(from, to); break;
    case DEV_STRING:
    case CONST_DEV_STRING: {
        std::string text;
        from >> text;
        to.sample.type = DEV_STRING;
        to.strings.assign(1, text);
        break;
    }
    case DEVVAR_STRINGARRAY:
        from >> to.strings;
        to.sample.type = DEV_STRING;
        to.sample.format = 1;
        to.sample.width = to.strings.size();
        break;
    default: break;
    }
}

class Listener : public CallBack {
  public:
    Listener(uint64_t id, TangoEventSink sink) : id(id), sink(sink) {}

    void push_event(EventData *event) override {
        auto give = [this](size_t, const TangoSample *sample) { sink(id, sample); };
        auto tell = [&](const Failure &why) {
            TangoSample sample{};
            sample.outcome = why.outcome == TANGO_DONE ? TANGO_REFUSED : why.outcome;
            sample.text = why.text.c_str();
            give(0, &sample);
        };
        guarded(
            [&] {
                if (event->err) {
                    Failure why = failure(event->errors);
                    const std::string reason = event->errors.length() > 0 ? event->errors[0].reason.in() : "";
                    why.outcome = reason == "API_EventTimeout" ? TANGO_ABSENT : why.outcome;
                    tell(why);
                } else if (event->attr_value->has_failed()) {
                    tell(failure(event->attr_value->get_err_stack()));
                } else {
                    Owned owned;
                    take(*event->attr_value, owned);
                    give(0, owned.view());
                }
            },
            tell);
    }

  private:
    uint64_t id;
    TangoEventSink sink;
};

// Listeners that libtango may still be calling; they go when that cannot be any more.
void retire(std::unique_ptr<Listener> listener) {
    using Clock = std::chrono::steady_clock;
    static std::mutex lock;
    static auto *retired = new std::deque<std::pair<Clock::time_point, std::unique_ptr<Listener>>>;
    std::lock_guard<std::mutex> guard(lock);
    while (!retired->empty() && Clock::now() - retired->front().first > std::chrono::minutes(1)) {
        retired->pop_front();
    }
    retired->emplace_back(Clock::now(), std::move(listener));
}

std::vector<const char *> pointers(const std::vector<std::string> &texts) {
    std::vector<const char *> all;
    for (const std::string &text : texts) {
        all.push_back(text.c_str());
    }
    return all;
}

// The threads of omniORB and ZeroMQ go on while the process ends, and fall over what libtango's destructors have taken
// away. So from the first device on the process ends without them: with the status it was to end with, all files closed
// by the kernel. Called again after whatever may have made new objects: what was registered last is called first.
void leave_without_destructors() {
    on_exit(
        [](int status, void *) {
            fflush(nullptr);
            _exit(status);
        },
        nullptr);
}

} // namespace

struct TangoSubscription {
    int number = 0;
    std::unique_ptr<Listener> listener;
};

TangoDevice *tango_device_open(const char *name, void *context, TangoAnswerSink answer) {
    std::unique_ptr<TangoDevice> device;
    guarded(
        [&] {
            auto opened = std::make_unique<TangoDevice>();
            std::string copy = name;
            opened->proxy = std::make_unique<DeviceProxy>(copy);
            opened->proxy->set_transparency_reconnection(true);
            device = std::move(opened);
        },
        [&](const Failure &why) { answer(context, 0, why.outcome, why.text.c_str()); });
    leave_without_destructors();
    return device.release();
}

void tango_device_close(TangoDevice *device) {
    guarded([&] { delete device; }, [](const Failure &) {});
}

void tango_device_timeout(TangoDevice *device, int32_t milliseconds) {
    guarded(
        [&] {
            if (device->timeout != milliseconds) {
                device->proxy->set_timeout_millis(milliseconds);
                device->timeout = milliseconds;
            }
        },
        [](const Failure &) {});
}

void tango_device_read(TangoDevice *device, const char *const *names, size_t count, bool direct, void *context,
                       TangoSampleSink sink) {
    guarded(
        [&] {
            if (device->direct != direct) {
                device->proxy->set_source(direct ? DEV : CACHE_DEV);
                device->direct = direct;
            }
            if (count == 1) {
                std::string name = names[0];
                DeviceAttribute value = device->proxy->read_attribute(name);
                give(value, 0, context, sink);
                return;
            }
            std::vector<std::string> wanted(names, names + count);
            std::unique_ptr<std::vector<DeviceAttribute>> values(device->proxy->read_attributes(wanted));
            for (size_t i = 0; i < values->size(); ++i) {
                give((*values)[i], i, context, sink);
            }
        },
        [&](const Failure &why) {
            for (size_t i = 0; i < count; ++i) {
                fail(why, i, context, sink);
            }
        });
}

void tango_device_write(TangoDevice *device, const TangoValue *values, size_t count, void *context,
                        TangoAnswerSink answer) {
    auto all = [&](const Failure &why) {
        for (size_t i = 0; i < count; ++i) {
            answer(context, i, why.outcome, why.text.c_str());
        }
    };
    guarded(
        [&] {
            std::vector<DeviceAttribute> sent(count);
            for (size_t i = 0; i < count; ++i) {
                fill(sent[i], values[i]);
            }
            std::vector<Failure> ends(count, Failure{TANGO_DONE, ""});
            try {
                device->proxy->write_attributes(sent);
            } catch (const NamedDevFailedList &errors) {
                if (errors.err_list.empty()) {
                    all(failure(errors.errors));
                    return;
                }
                for (const NamedDevFailed &one : errors.err_list) {
                    ends.at(static_cast<size_t>(one.idx_in_call)) = failure(one.err_stack);
                }
            }
            for (size_t i = 0; i < count; ++i) {
                answer(context, i, ends[i].outcome, ends[i].text.c_str());
            }
        },
        all);
}

void tango_device_attributes(TangoDevice *device, void *context, TangoInfoSink sink, TangoAnswerSink answer) {
    guarded(
        [&] {
            std::unique_ptr<AttributeInfoListEx> all(device->proxy->attribute_list_query_ex());
            for (const AttributeInfoEx &one : *all) {
                const std::vector<const char *> labels = pointers(one.enum_labels);
                TangoInfo info{};
                info.name = one.name.c_str();
                info.unit = one.unit.c_str();
                info.description = one.description.c_str();
                info.lowest = one.min_value.c_str();
                info.highest = one.max_value.c_str();
                info.type = one.data_type;
                info.format = one.data_format == IMAGE ? 2 : one.data_format == SPECTRUM ? 1 : 0;
                info.writable = one.writable != READ;
                info.width = static_cast<size_t>(std::max(one.max_dim_x, 0));
                info.height = static_cast<size_t>(std::max(one.max_dim_y, 0));
                info.labels = labels.data();
                info.label_count = labels.size();
                sink(context, &info);
            }
            answer(context, 0, TANGO_DONE, "");
        },
        [&](const Failure &why) { answer(context, 0, why.outcome, why.text.c_str()); });
}

void tango_device_commands(TangoDevice *device, void *context, TangoInfoSink sink, TangoAnswerSink answer) {
    guarded(
        [&] {
            std::unique_ptr<CommandInfoList> all(device->proxy->command_list_query());
            for (const CommandInfo &one : *all) {
                TangoInfo info{};
                info.name = one.cmd_name.c_str();
                info.unit = info.description = info.lowest = info.highest = "";
                info.type = static_cast<int32_t>(one.out_type);
                info.input = static_cast<int32_t>(one.in_type);
                sink(context, &info);
            }
            answer(context, 0, TANGO_DONE, "");
        },
        [&](const Failure &why) { answer(context, 0, why.outcome, why.text.c_str()); });
}

void tango_device_command(TangoDevice *device, const char *name, const TangoValue *argument, void *context,
                          TangoSampleSink sink) {
    guarded(
        [&] {
            DeviceData sent;
            if (argument != nullptr) {
                fill(sent, *argument);
            }
            std::string copy = name;
            const bool empty = argument == nullptr || argument->type == DEV_VOID;
            DeviceData got = empty ? device->proxy->command_inout(copy) : device->proxy->command_inout(copy, sent);
            Owned owned;
            got.reset_exceptions(DeviceData::isempty_flag);
            take(got, owned);
            sink(context, 0, owned.view());
        },
        [&](const Failure &why) { fail(why, 0, context, sink); });
}

void tango_device_property(TangoDevice *device, const char *name, void *context, TangoSampleSink sink) {
    guarded(
        [&] {
            DbData asked;
            asked.push_back(DbDatum(name));
            device->proxy->get_property(asked);
            Owned owned;
            if (asked[0].is_empty()) {
                fail({TANGO_ABSENT, "the device has no such property"}, 0, context, sink);
                return;
            }
            asked[0] >> owned.strings;
            owned.sample.type = DEV_STRING;
            owned.sample.format = owned.strings.size() > 1;
            owned.sample.width = owned.strings.size();
            owned.sample.quality = ATTR_VALID;
            owned.sample.time = std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count();
            sink(context, 0, owned.view());
        },
        [&](const Failure &why) { fail(why, 0, context, sink); });
}

TangoSubscription *tango_subscribe(TangoDevice *device, const char *attribute, uint64_t id, TangoEventSink sink,
                                   void *context, TangoAnswerSink answer) {
    std::unique_ptr<TangoSubscription> made;
    auto subscription = std::make_unique<TangoSubscription>();
    guarded(
        [&] {
            subscription->listener = std::make_unique<Listener>(id, sink);
            const std::string name = attribute;
            subscription->number =
                device->proxy->subscribe_event(name, CHANGE_EVENT, subscription->listener.get(), false);
            made = std::move(subscription);
        },
        [&](const Failure &why) {
            if (subscription != nullptr && subscription->listener != nullptr) {
                retire(std::move(subscription->listener));
            }
            answer(context, 0, why.outcome, why.text.c_str());
        });
    leave_without_destructors();
    return made.release();
}

void tango_unsubscribe(TangoDevice *device, TangoSubscription *subscription) {
    std::unique_ptr<TangoSubscription> ended(subscription);
    guarded([&] { device->proxy->unsubscribe_event(ended->number); }, [](const Failure &) {});
    guarded([&] { retire(std::move(ended->listener)); }, [](const Failure &) {});
}
