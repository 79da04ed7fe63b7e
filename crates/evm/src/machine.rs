//! The EVM: revm's, with the two rules of Ethereum that it does not know.
//!
//! - EIP-7610: a contract cannot be created where storage is left, even without code or nonce.
//! - Constantinople without Petersburg: EIP-1283's gas for SSTORE.
//!
//! Both hold whether or not an inspector looks on.

use crate::handler::BlockHandler;
use crate::{StateError, constantinople, short};
use alloy_evm::{Evm, EvmEnv, eth::EthEvmContext, precompiles::PrecompilesMap};
use alloy_primitives::{Address, Bytes};
use revm::{
    Context, Database, Inspector, Journal, MainContext,
    bytecode::opcode::SSTORE,
    context::{
        BlockEnv, CfgEnv, ContextError, ContextSetters, ContextTr, FrameStack, JournalTr, TxEnv,
        journaled_state::account::JournaledAccountTr,
        result::{EVMError, ExecResultAndState, ExecutionResult, HaltReason, ResultAndState},
    },
    database::bal::EvmDatabaseError,
    handler::{
        EthFrame, EvmTr, FrameInitOrResult, FrameResult, Handler, ItemOrResult, MainnetHandler, SystemCallTx,
        evm::FrameInitResult, instructions::EthInstructions,
    },
    inspector::{InspectorEvmTr, InspectorHandler, NoOpInspector},
    interpreter::{
        CreateInputs, CreateOutcome, FrameInput, Gas, Instruction, InstructionResult, InterpreterResult,
        interpreter::EthInterpreter, interpreter_action::FrameInit,
    },
    precompile::{PrecompileSpecId, Precompiles},
    primitives::{constants::CALL_STACK_LIMIT, hardfork::SpecId},
    state::{AccountInfo, EvmState},
};
use std::fmt::Debug;

/// What instructions and inspectors see of a machine.
pub(crate) type MachineContext<D> = EthEvmContext<D>;
/// The table of a machine's instructions.
pub(crate) type MachineInstructions<D> = EthInstructions<EthInterpreter, MachineContext<D>>;
type Inner<D, I> = revm::context::Evm<MachineContext<D>, I, MachineInstructions<D>, PrecompilesMap, EthFrame>;
type AllParts<'a, D, I> =
    (&'a MachineContext<D>, &'a MachineInstructions<D>, &'a PrecompilesMap, &'a FrameStack<EthFrame>, &'a I);
type AllPartsMut<'a, D, I> = (
    &'a mut MachineContext<D>,
    &'a mut MachineInstructions<D>,
    &'a mut PrecompilesMap,
    &'a mut FrameStack<EthFrame>,
    &'a mut I,
);

/// An error of the database below the machine.
pub(crate) type MachineDatabaseError = EvmDatabaseError<StateError>;
/// Why the machine did not run a transaction.
pub(crate) type MachineError = EVMError<MachineDatabaseError>;

/// What a machine runs on.
pub(crate) trait MachineDatabase: Database<Error = MachineDatabaseError> + Debug {
    /// The account, without counting as an access to it.
    fn peek(&mut self, address: Address) -> Result<Option<AccountInfo>, MachineDatabaseError>;

    /// Whether any slot of the account was nonzero before the block.
    fn has_storage(&self, address: Address) -> Result<bool, MachineDatabaseError>;

    /// Whether the transaction has to end, some ticks later: asked by machines that are watched.
    fn is_time_over(&mut self, ticks: u32) -> bool {
        let _ = ticks;
        false
    }
}

/// Runs transactions and system calls over a database. An inspector sees the transactions that run while it is enabled,
/// and no system call.
pub(crate) struct Machine<D: MachineDatabase, I = NoOpInspector> {
    inner: Inner<D, I>,
    is_inspected: bool,
    is_fee_recipient_met: bool,
    /// Whether transactions fail that are not short (`short.rs`).
    pub(crate) is_short: bool,
}

impl<D: MachineDatabase> Machine<D> {
    /// `is_constantinople`: whether the block is at Constantinople but not yet at Petersburg, which are one for revm.
    pub(crate) fn new(state: D, environment: EvmEnv, is_constantinople: bool) -> Self {
        let EvmEnv { mut cfg_env, block_env } = environment;
        if is_constantinople {
            cfg_env.set_gas_params(constantinople::gas_params(cfg_env.spec));
        }
        let precompiles = Precompiles::new(PrecompileSpecId::from_spec_id(cfg_env.spec));
        let mut inner = Inner {
            instruction: EthInstructions::new_mainnet_with_spec(cfg_env.spec),
            ctx: Context::mainnet().with_block(block_env).with_cfg(cfg_env).with_db(state),
            inspector: NoOpInspector {},
            precompiles: PrecompilesMap::from_static(precompiles),
            // Empty: most calls need one frame, and each has a stack of 32 KiB.
            frame_stack: FrameStack::new(),
        };
        if is_constantinople {
            inner.instruction.insert_instruction(SSTORE, Instruction::new(constantinople::sstore::<D>), 0);
        }
        Self { inner, is_inspected: false, is_fee_recipient_met: false, is_short: false }
    }
}

impl<D: MachineDatabase, I> Machine<D, I> {
    /// The same machine with an inspector, which is enabled.
    pub(crate) fn inspected_by<J>(self, inspector: J) -> Machine<D, J> {
        let Self { inner, is_fee_recipient_met, is_short, .. } = self;
        Machine { inner: inner.with_inspector(inspector), is_inspected: true, is_fee_recipient_met, is_short }
    }

    /// Whether the last transaction loaded the fee recipient before it was paid.
    pub(crate) fn is_fee_recipient_met(&self) -> bool {
        self.is_fee_recipient_met
    }

    /// To be called before the fee recipient is paid.
    pub(crate) fn note_fee_recipient(&mut self) {
        let Context { block, journaled_state, .. } = &self.inner.ctx;
        self.is_fee_recipient_met = journaled_state.evm_state().contains_key(&block.beneficiary);
    }

    pub(crate) fn database_mut(&mut self) -> &mut D {
        &mut self.inner.ctx.journaled_state.database
    }

    pub(crate) fn instructions_mut(&mut self) -> &mut MachineInstructions<D> {
        &mut self.inner.instruction
    }

    /// Runs a transaction by the given rules, and hands over what it left. The room of the accounts map is kept for the
    /// next transaction.
    pub(crate) fn run_by<T>(
        &mut self,
        rules: &mut impl Handler<Evm = Self, Error = MachineError, HaltReason = HaltReason>,
        transaction: TxEnv,
        take: impl FnOnce(Result<ExecutionResult, MachineError>, &EvmState, &mut D) -> T,
    ) -> T {
        self.inner.ctx.set_tx(transaction);
        let result = rules.run(self);
        let journal = self.inner.ctx.journal_mut();
        let mut state = journal.finalize();
        let taken = take(result, &state, &mut journal.database);
        state.clear();
        *journal.evm_state_mut() = state;
        taken
    }

    fn finish_run(
        &mut self,
        result: Result<ExecutionResult, MachineError>,
    ) -> Result<ResultAndState<HaltReason>, MachineError> {
        let state = self.inner.ctx.journal_mut().finalize();
        result.map(|result| ExecResultAndState::new(result, state))
    }

    /// How a creation ends that meets storage at its address (EIP-7610); `None` when revm's own rules decide.
    fn storage_collision(
        &mut self,
        inputs: &CreateInputs,
        depth: usize,
    ) -> Result<Option<FrameResult>, ContextError<MachineDatabaseError>> {
        let journal = self.inner.ctx.journal_mut();
        let caller = journal.load_account(inputs.caller())?.data.info.clone();
        if depth > CALL_STACK_LIMIT as usize || caller.balance < inputs.value() || caller.nonce == u64::MAX {
            return Ok(None);
        }
        let address = inputs.created_address(caller.nonce);
        if !has_only_storage(journal, address)? {
            return Ok(None);
        }
        journal.load_account_mut(inputs.caller())?.bump_nonce();
        journal.load_account(address)?;
        let result = InterpreterResult {
            result: InstructionResult::CreateCollision,
            gas: Gas::new_with_regular_gas_and_reservoir(inputs.gas_limit(), inputs.reservoir()),
            output: Bytes::new(),
        };
        let charged_create_state_gas = inputs.charged_create_state_gas();
        Ok(Some(FrameResult::Create(CreateOutcome { result, address: None, charged_create_state_gas })))
    }
}

/// Whether there is an account with storage but neither nonce nor code. Only the state before the block can hold one:
/// what a block creates has a nonce, or before Spurious Dragon an address that no later creation can have.
fn has_only_storage<D: MachineDatabase>(
    journal: &mut Journal<D>,
    address: Address,
) -> Result<bool, MachineDatabaseError> {
    let is_bare = |info: &AccountInfo| info.nonce == 0 && info.is_empty_code_hash();
    let exists_bare = match journal.evm_state().get(&address) {
        Some(account) => !account.is_loaded_as_not_existing() && is_bare(&account.info),
        None => journal.database.peek(address)?.as_ref().is_some_and(is_bare),
    };
    Ok(exists_bare && journal.database.has_storage(address)?)
}

impl<D: MachineDatabase, I> EvmTr for Machine<D, I> {
    type Context = MachineContext<D>;
    type Instructions = MachineInstructions<D>;
    type Precompiles = PrecompilesMap;
    type Frame = EthFrame;

    fn all(&self) -> (&Self::Context, &Self::Instructions, &Self::Precompiles, &FrameStack<EthFrame>) {
        self.inner.all()
    }

    fn all_mut(
        &mut self,
    ) -> (&mut Self::Context, &mut Self::Instructions, &mut Self::Precompiles, &mut FrameStack<EthFrame>) {
        self.inner.all_mut()
    }

    fn frame_init(
        &mut self,
        init: FrameInit,
    ) -> Result<FrameInitResult<'_, EthFrame>, ContextError<MachineDatabaseError>> {
        let is_short = self.is_short;
        if is_short && !short::may_begin(&init.frame_input, &self.inner.precompiles) {
            return Err(short::too_long());
        }
        if let FrameInput::Create(inputs) = &init.frame_input
            && let Some(result) = self.storage_collision(inputs, init.depth)?
        {
            return Ok(ItemOrResult::Result(result));
        }
        match self.inner.frame_init(init)? {
            ItemOrResult::Result(result) if is_short && !short::may_end(&result) => Err(short::too_long()),
            begun => Ok(begun),
        }
    }

    fn frame_run(&mut self) -> Result<FrameInitOrResult<EthFrame>, ContextError<MachineDatabaseError>> {
        match self.inner.frame_run()? {
            ItemOrResult::Result(result) if self.is_short && !short::may_end(&result) => Err(short::too_long()),
            ran => Ok(ran),
        }
    }

    fn frame_return_result(
        &mut self,
        result: FrameResult,
    ) -> Result<Option<FrameResult>, ContextError<MachineDatabaseError>> {
        self.inner.frame_return_result(result)
    }
}

/// Frames begin as they do without an inspector: by [`EvmTr::frame_init`] above.
impl<D: MachineDatabase, I: Inspector<MachineContext<D>>> InspectorEvmTr for Machine<D, I> {
    type Inspector = I;

    fn all_inspector(&self) -> AllParts<'_, D, I> {
        self.inner.all_inspector()
    }

    fn all_mut_inspector(&mut self) -> AllPartsMut<'_, D, I> {
        self.inner.all_mut_inspector()
    }
}

impl<D: MachineDatabase, I: Inspector<MachineContext<D>>> Evm for Machine<D, I> {
    type DB = D;
    type Tx = TxEnv;
    type Error = MachineError;
    type HaltReason = HaltReason;
    type Spec = SpecId;
    type BlockEnv = BlockEnv;
    type Precompiles = PrecompilesMap;
    type Inspector = I;

    fn block(&self) -> &BlockEnv {
        &self.inner.ctx.block
    }

    fn cfg_env(&self) -> &CfgEnv {
        &self.inner.ctx.cfg
    }

    fn chain_id(&self) -> u64 {
        self.inner.ctx.cfg.chain_id
    }

    fn transact_raw(&mut self, transaction: TxEnv) -> Result<ResultAndState, MachineError> {
        self.inner.ctx.set_tx(transaction);
        let mut handler = BlockHandler::default();
        let result = if self.is_inspected { handler.inspect_run(self) } else { handler.run(self) };
        self.finish_run(result)
    }

    fn transact_system_call(
        &mut self,
        caller: Address,
        contract: Address,
        data: Bytes,
    ) -> Result<ResultAndState, MachineError> {
        self.inner.ctx.set_tx(TxEnv::new_system_tx_with_caller(caller, contract, data));
        let result = MainnetHandler::default().run_system_call(self);
        self.finish_run(result)
    }

    fn finish(self) -> (D, EvmEnv) {
        let Context { block, cfg, journaled_state, .. } = self.inner.ctx;
        (journaled_state.database, EvmEnv { block_env: block, cfg_env: cfg })
    }

    fn set_inspector_enabled(&mut self, enabled: bool) {
        self.is_inspected = enabled;
    }

    fn components(&self) -> (&D, &I, &PrecompilesMap) {
        (&self.inner.ctx.journaled_state.database, &self.inner.inspector, &self.inner.precompiles)
    }

    fn components_mut(&mut self) -> (&mut D, &mut I, &mut PrecompilesMap) {
        let inner = &mut self.inner;
        (&mut inner.ctx.journaled_state.database, &mut inner.inspector, &mut inner.precompiles)
    }
}
