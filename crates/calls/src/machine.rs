//! The call machine: every rule about calls, and nothing else.
//!
//! Sans-IO: [`Machine::handle`] takes an [`Input`], [`Machine::handle_timeout`] lets due timers
//! fire, [`Machine::poll_output`] says what came of it. Time is an argument. One input is one step:
//! whatever it touches is brought in line (seats, queues, calls without people) before the step
//! ends, so no half-done state is ever seen from outside.
//!
//! | file | what |
//! |---|---|
//! | `state` | what the machine keeps |
//! | `out` | ids, who is told, views |
//! | `timers` | what fires when |
//! | `tenants` | tenants, users, groups, bans; the server API |
//! | `devices` | login, loss, return; queries |
//! | `create` | a call is made |
//! | `call` | people join, it begins |
//! | `invite` | ringing and its five ends |
//! | `answer` | what who is rung answers |
//! | `ending` | people leave, it ends |
//! | `seat` | agents' seats and queues |
//! | `transfer`, `third`, `monitor` | collaboration and supervision |
//! | `inside` | hold, digits, messages, screens, mutes |
//! | `recording` | recorders and their failures |
//! | `rooms` | what rooms tell |

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crosspoint_wire::time::Time;

use crate::command::Command;
use crate::door::{Input, Output};
use crate::error::ErrorCode;
use crate::event::{CommandResult, Data};
use crate::ids::{CallId, DeviceRef, RecordingId, RequestId, TenantId, UserId};

mod answer;
mod call;
mod create;
mod devices;
mod ending;
mod inside;
mod invite;
mod monitor;
mod out;
mod recording;
mod rooms;
mod seat;
mod state;
mod tenants;
mod third;
mod timers;
mod transfer;

use state::{Call, Finalizing, Tenant};
use timers::{Timer, Timers};

/// How many calls are remembered after their end, so that late commands learn that they ended.
const ENDED_MAX: usize = 4096;
/// Results that are remembered per device, for repeated requests.
const RESULTS_MAX: usize = 64;

/// What a command brings.
type Done = Result<Data, ErrorCode>;

/// Fixed at start.
#[derive(Clone, Copy, Debug)]
pub struct MachineConfig {
    /// What ids and session keys are drawn from; from a random source, once per start.
    pub seed: u64,
    /// Milliseconds since the Unix epoch at [`Time::ZERO`].
    pub unix_ms_at_zero: u64,
}

/// See the module documentation.
#[derive(Clone, Debug)]
pub struct Machine {
    config: MachineConfig,
    now: Time,
    ids: u64,
    tenants: BTreeMap<TenantId, Tenant>,
    calls: BTreeMap<CallId, Call>,
    /// Views of calls that ended lately, oldest first in `ended_order`.
    ended: BTreeMap<CallId, crate::model::Call>,
    ended_order: VecDeque<CallId>,
    /// Recordings whose call has ended.
    finalizing: BTreeMap<RecordingId, Finalizing>,
    timers: Timers,
    /// Users whose seat may have changed in this step.
    touched: BTreeSet<(TenantId, UserId)>,
    out: VecDeque<Output>,
}

impl Machine {
    /// A machine without tenants.
    #[must_use]
    pub const fn new(config: MachineConfig) -> Self {
        Self {
            config,
            now: Time::ZERO,
            ids: 0,
            tenants: BTreeMap::new(),
            calls: BTreeMap::new(),
            ended: BTreeMap::new(),
            ended_order: VecDeque::new(),
            finalizing: BTreeMap::new(),
            timers: Timers::new(),
            touched: BTreeSet::new(),
            out: VecDeque::new(),
        }
    }

    /// One step.
    pub fn handle(&mut self, now: Time, input: Input) {
        self.now = self.now.max(now);
        match input {
            Input::Command {
                from,
                request,
                command,
            } => self.command(&from, request, command),
            Input::ConnectionLost { device } => self.connection_lost(&device),
            Input::Alive { device } => self.alive(&device),
            Input::Admin {
                request,
                tenant,
                command,
            } => {
                let at = self.out.len();
                let result = self.admin(&tenant, command);
                self.settle();
                self.out.insert(at, Output::AdminResult { request, result });
            }
            Input::Media(event) => self.media_event(event),
        }
        self.settle();
    }

    /// Lets everything fire that is due.
    pub fn handle_timeout(&mut self, now: Time) {
        self.now = self.now.max(now);
        while let Some(timer) = self.timers.take_due(self.now) {
            self.fire(timer);
            self.settle();
        }
    }

    /// When [`Self::handle_timeout`] is wanted next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    /// What came of the steps so far.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Live calls, for metrics.
    #[must_use]
    pub fn live_calls(&self) -> usize {
        self.calls.len()
    }

    /// Brings in line what a step has touched.
    fn settle(&mut self) {
        while let Some((tenant, user)) = self.touched.pop_first() {
            self.refresh_seat(&tenant, &user);
        }
    }

    fn command(&mut self, from: &DeviceRef, request: RequestId, command: Command) {
        if let Some(earlier) = self.earlier_result(from, &request) {
            self.out.push_back(Output::Result {
                device: from.clone(),
                request,
                result: earlier,
            });
            return;
        }
        // The result precedes what others are told of it.
        let at = self.out.len();
        let result = match self.carry_out(from, command) {
            Ok(data) => CommandResult {
                error: ErrorCode::Ok,
                detail: String::new(),
                data,
            },
            Err(error) => CommandResult {
                error,
                detail: error.meaning().to_owned(),
                data: Data::None,
            },
        };
        if let Some(device) = self.device_mut(from) {
            if device.results.len() >= RESULTS_MAX {
                device.results.pop_front();
            }
            device.results.push_back((request.clone(), result.clone()));
        }
        self.settle();
        self.out.insert(
            at,
            Output::Result {
                device: from.clone(),
                request,
                result,
            },
        );
    }

    fn earlier_result(&self, from: &DeviceRef, request: &RequestId) -> Option<CommandResult> {
        let results = &self.device(from)?.results;
        let found = results.iter().find(|(earlier, _)| earlier == request);
        found.map(|(_, result)| result.clone())
    }

    fn carry_out(&mut self, from: &DeviceRef, command: Command) -> Done {
        match command {
            Command::Login(login) => return self.login(from, &login),
            Command::Reconnect {
                session_key,
                last_seq,
            } => return self.reconnect(from, &session_key, last_seq),
            _ => {}
        }
        if !self.device(from).is_some_and(|device| device.online) {
            return Err(ErrorCode::State);
        }
        self.alive(from);
        match command {
            Command::Login(_) | Command::Reconnect { .. } => Err(ErrorCode::State),
            Command::Logout => self.logout(from),
            Command::Refresh => Ok(Data::None),
            Command::QueryState { scope } => self.query(from, scope),
            Command::SetProfile {
                name,
                portrait_uri,
                extra,
            } => self.set_profile(from, name, portrait_uri, extra),
            Command::SetPush { call, hang_up } => self.set_push(from, call, hang_up),
            Command::SetSeat { wish } => self.set_seat(from, wish),
            Command::ListGroups => self.list_groups(from),
            Command::ListAgents {
                skill_group,
                page,
                size,
            } => self.list_agents(from, &skill_group, page, size),

            Command::CreateCall(call) => self.create_call(from, call),
            Command::Invite {
                call,
                callees,
                extra,
                push,
            } => self.invite(from, &call, callees, extra, push),
            Command::CancelInvite { call, callees } => self.cancel_invites(from, &call, &callees),
            Command::Ringing { invite } => self.ringing(from, &invite),
            Command::Accept {
                invite,
                media,
                role,
            } => self.accept(from, &invite, media, role),
            Command::Reject { invite, reason } => self.reject(from, &invite, reason),
            Command::JoinRoom {
                serial,
                media,
                role,
                extra,
            } => self.join_room(from, serial, media, role, extra),
            Command::LeaveRoom { call } => self.leave_room(from, &call),
            Command::HangUp { call } => self.hang_up(from, &call),
            Command::EndCall { call } => self.end_for_all(from, &call),
            Command::KickUser { call, user } => self.kick(from, &call, &user),
            Command::ForceEnd { call } => self.force_end(from, &call),

            Command::Publish { call, kind } => self.publish(from, &call, kind, true),
            Command::Unpublish { call, kind } => self.publish(from, &call, kind, false),
            Command::Subscribe {
                call,
                user,
                kind,
                wanted,
            } => self.subscribe(from, &call, user, kind, wanted, 0),
            Command::SetLayer {
                call,
                user,
                kind,
                max_height,
            } => self.subscribe(from, &call, user, kind, true, max_height),
            Command::Mute { call, kind, muted } => self.mute(from, &call, kind, muted),
            Command::SwitchDevice { call } => self.own_call(from, &call).map(|_| Data::None),
            Command::Downgrade { call } => self.downgrade(from, &call),
            Command::Hold { call } => self.hold(from, &call),
            Command::Unhold { call } => self.unhold(from, &call),
            Command::Dtmf { call, digit } => self.dtmf(from, &call, digit),
            Command::ScreenShare { call, action, tip } => {
                self.screen_share(from, &call, action, tip)
            }
            Command::Snapshot { call, source, url } => self.snapshot(from, &call, source, url),
            Command::ReportFault {
                call,
                error,
                detail,
            } => self.fault(from, &call, error, detail),

            Command::TransferAsk { call, target } => self.transfer_ask(from, &call, &target),
            Command::TransferCancel { call, target } => {
                self.transfer_cancel(from, &call, target.as_ref())
            }
            Command::TransferAccept { call } => self.transfer_accept(from, &call),
            Command::TransferReject { call } => self.transfer_reject(from, &call),
            Command::TransferBlind {
                call,
                skill_group,
                target,
            } => self.transfer_blind(from, &call, skill_group.as_ref(), &target),
            Command::ThirdAsk { call, target } => self.third_ask(from, &call, &target),
            Command::ThirdCancel { call, target } => {
                self.third_cancel(from, &call, target.as_ref())
            }
            Command::ThirdAccept { call } => self.third_accept(from, &call),
            Command::ThirdReject { call } => self.third_reject(from, &call),
            Command::ThirdRemove { call, target } => {
                self.third_remove(from, &call, target.as_ref())
            }
            Command::ThirdQuit { call } => self.third_quit(from, &call),
            Command::MonStart { call } => self.mon_start(from, &call),
            Command::MonStop { call } => self.mon_stop(from, &call),
            Command::MonWhisper { call, on } => self.mon_whisper(from, &call, on),
            Command::MonBarge { call } => self.mon_barge(from, &call),
            Command::MonExitBarge { call } => self.mon_exit_barge(from, &call),
            Command::MonEndCall { call } => self.mon_end_call(from, &call),

            Command::SendMessage {
                call,
                to,
                content_type,
                content,
            } => self.send_message(from, &call, to, content_type, content),
            Command::RecStart { call, mode } => self.rec_start(from, &call, mode),
            Command::RecStop { call, recording } => self.rec_stop(from, &call, recording.as_ref()),
            Command::LinkRoom { call, peer } => self.link_room(from, &call, &peer),
            Command::UnlinkRoom { link } => self.unlink_room(from, &link),
        }
    }

    fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Ring(call, invite) => self.ring_timed_out(&call, &invite),
            Timer::Connect(call, user) => self.connect_timed_out(&call, &user),
            Timer::MediaLost(call, user) => self.media_stayed_lost(&call, &user),
            Timer::Queue(call) => self.queue_timed_out(&call),
            Timer::Rering(call, user) => self.ring_again(&call, &user),
            Timer::Transfer(call) => self.transfer_timed_out(&call),
            Timer::Third(call) => self.third_timed_out(&call),
            Timer::EmptyRoom(call) => self.stayed_empty(&call),
            Timer::MonStart(call, user) => self.mon_timed_out(&call, &user),
            Timer::RecHealth(call) => self.recorder_silent(&call),
            Timer::RecFinalize(recording) => self.finalizing_failed(&recording),
            Timer::Reconnect(device) => self.device_gone(&device),
            Timer::Registration(device) => self.registration_lapsed(&device),
            Timer::Ban(tenant, user) => self.ban_over(&tenant, &user),
        }
    }
}

#[cfg(test)]
mod tests;
